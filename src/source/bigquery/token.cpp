#include "source/bigquery/token.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/json_text.hpp"
#include "source/bigquery/dom.hpp"
#include "source/bigquery/refusal.hpp"

#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <memory>

namespace headrace::source::bigquery {
namespace {

constexpr std::string_view scope = "https://www.googleapis.com/auth/bigquery";
constexpr auto assertion_life = std::chrono::hours(1);
constexpr auto token_patience = std::chrono::seconds(60);
constexpr auto margin = std::chrono::seconds(300);
constexpr auto unknown_life = std::chrono::seconds(300);  // where the endpoint does not say
constexpr std::size_t most_token_answer = 64 * 1024;

struct OpensslDeleter {
    void operator()(BIO* it) const { BIO_free(it); }

    void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }

    void operator()(EVP_MD_CTX* it) const { EVP_MD_CTX_free(it); }
};

template <class T>
using Owned = std::unique_ptr<T, OpensslDeleter>;

[[noreturn]] void bad_key(std::string_view what) {
    ERR_clear_error();  // its texts may hold parts of the key
    throw Error(ErrorKind::invalid, "config.invalid", fmt::format("the `private_key` of the key file {}", what));
}

std::string sign(const Key& key, std::string_view text) {
    const auto& pem = key.private_key.reveal();
    const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const auto no_password = [](char*, int, int, void*) { return 0; };
    const Owned<EVP_PKEY> private_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
    if (!private_key || EVP_PKEY_get_base_id(private_key.get()) != EVP_PKEY_RSA) {
        bad_key("is no RSA key in PEM form");
    }
    const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t size = 0;
    std::string out;
    if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, private_key.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) {
        bad_key("cannot sign");
    }
    out.resize(size);
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, text.size()) != 1) {
        bad_key("cannot sign");
    }
    out.resize(size);
    return out;
}

std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
    std::string out;
    for (const auto& [name, value] : members) {
        out += (out.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
    }
    return out;
}

}  // namespace

Secret make_assertion(const Key& key, Timestamp issued) {
    const auto at = std::chrono::floor<std::chrono::seconds>(issued).time_since_epoch();
    std::string header = R"({"alg":"RS256","typ":"JWT")";
    if (!key.key_id.empty()) {
        header += ",\"kid\":" + json_string(key.key_id);
    }
    const auto claims = fmt::format(
        R"({{"iss":{},"scope":{},"aud":{},"iat":{},"exp":{}}})",
        json_string(key.client_email),
        json_string(scope),
        json_string(key.token_uri),
        at.count(),
        (at + assertion_life).count()
    );
    auto text = base64url_encode(header + "}") + "." + base64url_encode(claims);
    const auto signature = sign(key, text);
    return Secret(std::move(text) + "." + base64url_encode(signature));
}

net::HttpRequest TokenSource::request() const {
    const auto& key = config_.key;
    net::HttpRequest out;
    out.ca_file = config_.ca_file;
    if (key.kind == AuthKind::metadata) {
        out.url = "http://" + config_.metadata_host + "/computeMetadata/v1/instance/service-accounts/default/token";
        out.headers = {{"Metadata-Flavor", "Google"}};
        return out;
    }
    out.method = "POST";
    out.url = key.token_uri;
    out.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    if (key.kind == AuthKind::service_account) {
        const auto assertion = make_assertion(key, now());
        out.body =
            form({{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", assertion.reveal()}});
    } else {
        out.body = form(
            {{"grant_type", "refresh_token"},
             {"client_id", key.client_id},
             {"client_secret", key.client_secret.reveal()},
             {"refresh_token", key.refresh_token.reveal()}}
        );
    }
    return out;
}

const Secret& TokenSource::token(Deadline deadline, const StopToken& stop) {
    if (!token_.empty() && !fresh_.passed()) {
        return token_;
    }
    token_ = Secret();
    auto wanted = request();
    wanted.deadline = Deadline::in(token_patience).earlier(deadline);
    const auto asked = Deadline::Clock::now();
    const auto reply = client_.fetch(wanted, stop, most_token_answer);
    if (reply.status != 200) {
        const auto refusal = parse_refusal(reply.status, reply.body);
        const bool ours = reply.status >= 400 && reply.status < 500 && !worth_repeating(refusal);
        Error error = to_error(refusal, "give a token to " + config_.key.who());
        if (ours && error.code() != "source.auth") {
            error = Error(ErrorKind::unauthorized, "source.auth", error.message());
        }
        throw Error(std::move(error));
    }
    if (config_.key.kind == AuthKind::metadata && reply.headers.get("Metadata-Flavor") != "Google") {
        throw Error(
            ErrorKind::permanent, "source.auth", config_.metadata_host + " does not answer as Google's metadata server"
        );
    }
    simdjson::dom::parser parser;
    dom::element document;
    std::string text;
    if (parser.parse(reply.body.data(), reply.body.size()).get(document) == simdjson::SUCCESS) {
        text = dom::text(document, "access_token");
    }
    if (text.empty() || text.find_first_of("\r\n") != std::string::npos) {
        throw Error(ErrorKind::permanent, "source.auth", "the token endpoint answered without an access token");
    }
    const auto said = dom::number(document, "expires_in");
    const auto life = said ? std::chrono::seconds(std::min<std::uint64_t>(*said, 86'400)) : unknown_life;
    fresh_ = Deadline::at(asked + life - std::min<std::chrono::seconds>(margin, life / 2));
    token_ = Secret(std::move(text));
    return token_;
}

}  // namespace headrace::source::bigquery
