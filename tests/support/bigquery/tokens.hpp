// The simulator's side of authentication: makes a key file, checks assertions signed with it, gives and takes tokens.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace headrace::support::bigquery {

class Tokens {
public:
    Tokens();  // makes an RSA key
    ~Tokens();
    Tokens(const Tokens&) = delete;
    Tokens& operator=(const Tokens&) = delete;

    // Text of a service_account key file.
    std::string key_file(const std::string& token_uri, const std::string& project) const;
    static std::string user_file(const std::string& token_uri);  // authorized_user

    // nullopt: right; else what is wrong with the JWT.
    std::optional<std::string> refuse(std::string_view assertion, const std::string& token_uri) const;

    std::string issue();
    bool good(std::string_view token) const;
    void revoke_all();
    int issued() const;

    static constexpr std::string_view refresh_token = "1//simulated-refresh";
    static constexpr std::string_view client_secret = "simulated-secret";

private:
    std::unique_ptr<evp_pkey_st, void (*)(evp_pkey_st*)> key_;
    mutable std::mutex mutex_;
    std::set<std::string, std::less<>> live_;
    int issued_ = 0;
};

}  // namespace headrace::support::bigquery
