#include "pipeline/secret_words.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace headrace::pipeline {
namespace {

// Compared with the key in lower case without - _ . and blanks.
constexpr std::string_view names[] = {
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "apikey",
    "apitoken",
    "auth",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientkey",
    "clientsecret",
    "cookie",
    "credentialsjson",
    "keyfile",
    "keyjson",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "proxyauthorization",
    "pwd",
    "refreshtoken",
    "secret",
    "secretkey",
    "serviceaccount",
    "serviceaccountkey",
    "signature",
    "token",
    "xapikey",
    "xauthtoken"};

constexpr std::string_view ends[] = {"password", "passwd", "secret", "apikey", "token", "privatekey", "accesskey"};

std::string squeeze(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
    }
    return out;
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
}

// scheme://user:password@ anywhere in the text.
bool has_userinfo(std::string_view text) {
    for (auto at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3)) {
        const auto rest = text.substr(at + 3);
        const auto host_end = std::min(rest.find_first_of("/?# \t\r\n'\""), rest.size());
        const auto sign = rest.substr(0, host_end).rfind('@');
        if (at > 0 && is_word(text[at - 1]) && sign != std::string_view::npos) {
            const auto colon = rest.substr(0, sign).find(':');
            if (colon != std::string_view::npos && colon + 1 < sign) {
                return true;
            }
        }
    }
    return false;
}

// ?api_key=… or &token=… of a URL.
bool has_secret_parameter(std::string_view text) {
    if (text.find("://") == std::string_view::npos) {
        return false;
    }
    for (auto at = text.find_first_of("?&"); at != std::string_view::npos; at = text.find_first_of("?&", at + 1)) {
        const auto rest = text.substr(at + 1);
        const auto equals = rest.find('=');
        if (equals != std::string_view::npos && rest.find_first_of("?& \n") > equals &&
            is_secret_name(rest.substr(0, equals)) && equals + 1 < rest.size() && rest[equals + 1] != '&') {
            return true;
        }
    }
    return false;
}

bool starts_with_scheme(std::string_view text) {
    for (const std::string_view scheme : {"bearer ", "basic "}) {
        if (text.size() >= scheme.size() + 8 &&
            std::equal(
                scheme.begin(),
                scheme.end(),
                text.begin(),
                [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); }
            ) &&
            text.find(' ', scheme.size()) == std::string_view::npos) {
            return true;
        }
    }
    return false;
}

}  // namespace

bool is_secret_name(std::string_view key) {
    const auto name = squeeze(key);
    return std::find(std::begin(names), std::end(names), name) != std::end(names) ||
           std::any_of(std::begin(ends), std::end(ends), [&](std::string_view end) { return name.ends_with(end); });
}

bool is_secret_value(std::string_view text) {
    return (text.find("-----BEGIN ") != std::string_view::npos && text.find("PRIVATE KEY") != std::string_view::npos) ||
           text.find("\"private_key\"") != std::string_view::npos || starts_with_scheme(text) || has_userinfo(text) ||
           has_secret_parameter(text);
}

}  // namespace headrace::pipeline
