#include "net/tls.hpp"

#include "base/error.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <system_error>

namespace headrace::net {
namespace {

// OpenSSL's own socket transport calls write(2), which raises SIGPIPE on a closed peer; this one
// never does.
int fd_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int transport_write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    const auto sent = ::send(fd_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return static_cast<int>(sent);
}

int transport_read(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    const auto got = ::recv(fd_of(bio), to, static_cast<std::size_t>(size), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    if (got == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);  // lets OpenSSL tell a cut from an I/O error
    }
    return static_cast<int>(got);
}

long transport_control(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
            return 1;
        case BIO_CTRL_EOF:
            return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
        default:
            return 0;
    }
}

BIO_METHOD* make_transport() {
    auto* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headrace socket");
    BIO_meth_set_write(method, transport_write);
    BIO_meth_set_read(method, transport_read);
    BIO_meth_set_ctrl(method, transport_control);
    return method;
}

std::string last_reason() {
    const auto code = ERR_peek_last_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "unknown reason";
}

[[noreturn]] void refuse_set_up(const std::string& name, const char* what) {
    throw Error(ErrorKind::permanent, "net.tls", name + ": " + what + ": " + last_reason());
}

bool is_literal(const std::string& host) {
    unsigned char space[sizeof(in6_addr)];
    return ::inet_pton(AF_INET, host.c_str(), space) == 1 || ::inet_pton(AF_INET6, host.c_str(), space) == 1;
}

void set_up_context(SSL_CTX* context, const TlsOptions& options, const std::string& name) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const int loaded = options.ca_file.empty()
                           ? SSL_CTX_set_default_verify_paths(context)
                           : SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr);
    if (options.verify && loaded != 1) {
        refuse_set_up(name, "the CA file cannot be read");
    }
    if (options.cert_file.empty()) {
        return;
    }
    if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        refuse_set_up(name, "the client certificate or its key cannot be used");
    }
}

void set_peer(SSL* connection, const std::string& host, const std::string& name) {
    bool good = true;
    if (is_literal(host)) {
        good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host.c_str()) == 1;
    } else {
        // SNI knows no literals (RFC 6066 §3).
        good = SSL_set1_host(connection, host.c_str()) == 1 &&
               SSL_ctrl(
                   connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str())
               ) == 1;
    }
    if (!good) {
        refuse_set_up(name, "not a usable server name");
    }
}

}  // namespace

Tls::Tls(int fd, const TlsOptions& options, const std::string& host, std::string name)
    : transport_(make_transport(), &BIO_meth_free),
      context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free),
      connection_(nullptr, &SSL_free),
      fd_(fd),
      name_(std::move(name)) {
    ERR_clear_error();
    if (!context_) {
        refuse_set_up(name_, "TLS cannot be set up");
    }
    set_up_context(context_.get(), options, name_);
    connection_.reset(SSL_new(context_.get()));
    auto* bio = connection_ ? BIO_new(transport_.get()) : nullptr;
    if (bio == nullptr) {
        refuse_set_up(name_, "TLS cannot be set up");
    }
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd_)));
    BIO_set_init(bio, 1);
    SSL_set_bio(connection_.get(), bio, bio);
    set_peer(connection_.get(), options.server_name.empty() ? host : options.server_name, name_);
}

Tls::Want Tls::handshake() {
    ERR_clear_error();
    const int result = SSL_connect(connection_.get());
    if (result == 1) {
        ready_ = true;
        return Want::none;
    }
    return want_after(result);
}

Tls::Progress Tls::read(char* to, std::size_t size) {
    ERR_clear_error();
    Progress out;
    const int result = SSL_read_ex(connection_.get(), to, size, &out.bytes);
    if (result != 1) {
        if (SSL_get_error(connection_.get(), result) == SSL_ERROR_ZERO_RETURN) {
            out.end = true;
            return out;
        }
        out.want = want_after(result);
    }
    return out;
}

Tls::Progress Tls::write(std::string_view bytes) {
    ERR_clear_error();
    Progress out;
    const int result = SSL_write_ex(connection_.get(), bytes.data(), bytes.size(), &out.bytes);
    if (result != 1) {
        out.want = want_after(result);
    }
    return out;
}

void Tls::say_goodbye() noexcept {
    if (ready_) {
        ERR_clear_error();
        SSL_shutdown(connection_.get());
        ERR_clear_error();
    }
}

std::string Tls::describe() const {
    std::string out = SSL_get_version(connection_.get());
    const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(connection_.get()), &X509_free);
    if (!certificate) {
        return out;
    }
    std::array<char, 256> name{};
    X509_NAME_get_text_by_NID(
        X509_get_subject_name(certificate.get()), NID_commonName, name.data(), static_cast<int>(name.size())
    );
    const auto* end = X509_get0_notAfter(certificate.get());
    std::tm day{};
    int days = 0;
    int seconds = 0;
    out += std::string(", certificate of ") + (name[0] != 0 ? name.data() : "no name");
    if (ASN1_TIME_to_tm(end, &day) == 1 && ASN1_TIME_diff(&days, &seconds, nullptr, end) == 1) {
        std::array<char, 16> text{};
        std::strftime(text.data(), text.size(), "%Y-%m-%d", &day);
        out += std::string(" until ") + text.data() + " (" + std::to_string(days) + " days)";
    }
    return out;
}

Tls::Want Tls::want_after(int result) {
    switch (SSL_get_error(connection_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Want::read;
        case SSL_ERROR_WANT_WRITE:
            return Want::write;
        default:
            fail(result);
    }
}

void Tls::fail(int result) {
    const int system = errno;
    const int error = SSL_get_error(connection_.get(), result);
    const bool was_ready = std::exchange(ready_, false);  // no close_notify after a fatal error
    const auto verdict = SSL_get_verify_result(connection_.get());
    if (!was_ready && verdict != X509_V_OK && SSL_get_verify_mode(connection_.get()) != SSL_VERIFY_NONE) {
        throw Error(
            ErrorKind::permanent, "net.tls", name_ + ": certificate refused: " + X509_verify_cert_error_string(verdict)
        );
    }
    const bool cut =
        error == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    if (cut || error == SSL_ERROR_ZERO_RETURN) {
        throw Error(ErrorKind::transient, "net.closed", name_ + ": the connection was cut");
    }
    if (error == SSL_ERROR_SYSCALL) {
        const bool closed = system == EPIPE || system == ECONNRESET || system == 0;
        throw Error(
            ErrorKind::transient,
            closed ? "net.closed" : "net.io",
            name_ + ": " + std::generic_category().message(system)
        );
    }
    throw Error(ErrorKind::transient, "net.tls", name_ + ": " + last_reason());
}

}  // namespace headrace::net
