#include "support/bigquery/tokens.hpp"

#include "base/encoding.hpp"
#include "base/ids.hpp"
#include "base/json_text.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <stdexcept>

namespace headrace::support::bigquery {
namespace {

constexpr std::string_view email = "etl@simulator.iam.gserviceaccount.com";

std::string pem_of(EVP_PKEY* key) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    char* text = nullptr;
    if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        throw std::runtime_error("no PEM");
    }
    const auto size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

bool verify(EVP_PKEY* key, std::string_view text, std::string_view signature) {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
           EVP_DigestVerify(
               context.get(),
               reinterpret_cast<const unsigned char*>(signature.data()),
               signature.size(),
               reinterpret_cast<const unsigned char*>(text.data()),
               text.size()
           ) == 1;
}

}  // namespace

Tokens::Tokens() : key_(EVP_RSA_gen(2048), &EVP_PKEY_free) {
    if (!key_) {
        throw std::runtime_error("no RSA key");
    }
}

Tokens::~Tokens() = default;

std::string Tokens::key_file(const std::string& token_uri, const std::string& project) const {
    return fmt::format(
        R"({{"type":"service_account","project_id":{},"private_key_id":"simulated","private_key":{},)"
        R"("client_email":"{}","client_id":"1","token_uri":{}}})",
        json_string(project),
        json_string(pem_of(key_.get())),
        email,
        json_string(token_uri)
    );
}

std::string Tokens::user_file(const std::string& token_uri) {
    return fmt::format(
        R"({{"type":"authorized_user","client_id":"simulated","client_secret":"{}","refresh_token":"{}","token_uri":{}}})",
        client_secret,
        refresh_token,
        json_string(token_uri)
    );
}

std::optional<std::string> Tokens::refuse(std::string_view assertion, const std::string& token_uri) const {
    const auto first = assertion.find('.');
    const auto second = assertion.rfind('.');
    if (first == std::string_view::npos || second == first) {
        return "not three parts";
    }
    const auto header = base64url_decode(assertion.substr(0, first));
    const auto claims = base64url_decode(assertion.substr(first + 1, second - first - 1));
    const auto signature = base64url_decode(assertion.substr(second + 1));
    if (!header || !claims || !signature || !verify(key_.get(), assertion.substr(0, second), *signature)) {
        return "Invalid JWT Signature.";
    }
    const auto head = boost::json::parse(*header).as_object();
    const auto body = boost::json::parse(*claims).as_object();
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    const auto issued = body.at("iat").as_int64();
    const auto expires = body.at("exp").as_int64();
    if (head.at("alg").as_string() != "RS256" || head.at("kid").as_string() != "simulated") {
        return "wrong header";
    }
    if (body.at("iss").as_string() != email || body.at("aud").as_string() != token_uri) {
        return "wrong issuer or audience";
    }
    if (body.at("scope").as_string() != "https://www.googleapis.com/auth/bigquery") {
        return "wrong scope";
    }
    if (issued > now + 300 || expires < now || expires - issued > 3600) {
        return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.";
    }
    return std::nullopt;
}

std::string Tokens::issue() {
    const std::lock_guard lock(mutex_);
    ++issued_;
    return *live_.insert("ya29." + random_token(24)).first;
}

bool Tokens::good(std::string_view token) const {
    const std::lock_guard lock(mutex_);
    return live_.find(token) != live_.end();
}

void Tokens::revoke_all() {
    const std::lock_guard lock(mutex_);
    live_.clear();
}

int Tokens::issued() const {
    const std::lock_guard lock(mutex_);
    return issued_;
}

}  // namespace headrace::support::bigquery
