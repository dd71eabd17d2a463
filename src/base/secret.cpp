#include "base/secret.hpp"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace headrace {

Secret::Secret(Secret&& other) noexcept : value_(other.value_) {
    sodium_memzero(other.value_.data(), other.value_.size());
    other.value_.clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        sodium_memzero(value_.data(), value_.size());
        value_ = other.value_;
        sodium_memzero(other.value_.data(), other.value_.size());
        other.value_.clear();
    }
    return *this;
}

Secret::~Secret() {
    sodium_memzero(value_.data(), value_.size());
}

std::string mask_url(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) {
        // libpq also takes "host=db password=hunter2".
        const auto word = url.find("password=");
        if (word == std::string_view::npos) {
            return std::string(url);
        }
        const auto end = std::min(url.find(' ', word), url.size());
        return std::string(url.substr(0, word)) + "password=***" + std::string(url.substr(end));
    }
    const auto start = scheme + 3;
    const auto end = url.find_first_of("/?#", start);
    const auto at = url.substr(0, end).rfind('@');
    if (at == std::string_view::npos || at < start) {
        return std::string(url);
    }
    const auto colon = url.substr(0, at).find(':', start);
    if (colon == std::string_view::npos) {
        return std::string(url);
    }
    return std::string(url.substr(0, colon + 1)) + "***" + std::string(url.substr(at));
}

}  // namespace headrace
