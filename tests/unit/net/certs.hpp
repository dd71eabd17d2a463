// Certificates made at test time, and a TLS server that uses them.
#pragma once

#include "loopback.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace headrace::net::test {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using CertPtr = std::unique_ptr<X509, decltype(&X509_free)>;

struct Identity {
    KeyPtr key{nullptr, &EVP_PKEY_free};
    CertPtr cert{nullptr, &X509_free};
};

inline void add_extension(X509* cert, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value), &X509_EXTENSION_free
    );
    if (!extension || X509_add_ext(cert, extension.get(), -1) != 1) {
        throw std::runtime_error("cannot add an extension");
    }
}

// `names`: "DNS:localhost,IP:127.0.0.1"; empty makes a CA. Without an issuer the certificate signs
// itself.
inline Identity make_identity(
    const std::string& common_name,
    const std::string& names,
    const Identity* issuer,
    long valid_from = -3600,
    long valid_to = 3600
) {
    static long serial = 1;
    Identity out;
    out.key.reset(EVP_EC_gen("P-256"));
    out.cert.reset(X509_new());
    auto* cert = out.cert.get();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), valid_from);
    X509_gmtime_adj(X509_getm_notAfter(cert), valid_to);
    X509_set_pubkey(cert, out.key.get());
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(cert),
        "CN",
        MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(common_name.c_str()),
        -1,
        -1,
        0
    );
    auto* parent = issuer != nullptr ? issuer->cert.get() : cert;
    X509_set_issuer_name(cert, X509_get_subject_name(parent));
    if (names.empty()) {
        add_extension(cert, parent, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(cert, parent, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(cert, parent, NID_subject_alt_name, names.c_str());
    }
    if (X509_sign(cert, issuer != nullptr ? issuer->key.get() : out.key.get(), EVP_sha256()) == 0) {
        throw std::runtime_error("cannot sign");
    }
    return out;
}

inline void write_cert(const Identity& identity, const std::string& path) {
    std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "w"), &BIO_free);
    if (!file || PEM_write_bio_X509(file.get(), identity.cert.get()) != 1) {
        throw std::runtime_error("cannot write " + path);
    }
}

inline std::string bio_text(BIO* bio) {
    const char* bytes = nullptr;
    const auto size = BIO_get_mem_data(bio, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

inline std::string cert_pem(const Identity& identity) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    PEM_write_bio_X509(bio.get(), identity.cert.get());
    return bio_text(bio.get());
}

inline std::string key_pem(const Identity& identity) {
    std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    PEM_write_bio_PrivateKey(bio.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return bio_text(bio.get());
}

// Shakes hands and runs `script` on the TLS connection. A refused handshake is not the server's
// problem.
inline std::function<void(int)> tls_script(const Identity& identity, std::function<void(SSL*, int)> script) {
    return [&identity, script = std::move(script)](int fd) {
        // OpenSSL's own socket transport, used here, raises SIGPIPE when the client has gone.
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
        std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
        SSL_CTX_use_certificate(context.get(), identity.cert.get());
        SSL_CTX_use_PrivateKey(context.get(), identity.key.get());
        std::unique_ptr<SSL, decltype(&SSL_free)> connection(SSL_new(context.get()), &SSL_free);
        SSL_set_fd(connection.get(), fd);
        if (SSL_accept(connection.get()) == 1) {
            script(connection.get(), fd);
        }
    };
}

}  // namespace headrace::net::test
