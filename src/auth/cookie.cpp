#include "auth/cookie.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace headrace::auth {
namespace {

constexpr std::size_t signature_length = 43;  // 32 bytes in base64 without padding

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string signature(std::string_view sid, const Secret& secret) {
    auto text = base64_encode(hmac_sha256(secret.reveal(), sid));
    text.resize(signature_length);
    return text;
}

bool is_sid(std::string_view text, std::size_t length) {
    return text.size() == length && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '_';
           });
}

// "Sun, 22 Nov 2026 03:05:15 GMT"
std::string http_date(Timestamp time) {
    static constexpr std::array<const char*, 7> weekdays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> months = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
    return fmt::format(
        "{}, {:02d} {} {:04d} {:02d}:{:02d}:{:02d} GMT",
        weekdays[std::chrono::weekday(day).c_encoding()],
        static_cast<unsigned>(date.day()),
        months[static_cast<unsigned>(date.month()) - 1],
        static_cast<int>(date.year()),
        clock.hours().count(),
        clock.minutes().count(),
        clock.seconds().count()
    );
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view message) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, bytes_of(key), key.size());
    crypto_auth_hmacsha256_update(&state, bytes_of(message), message.size());
    std::string out(crypto_auth_hmacsha256_BYTES, '\0');
    crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(out.data()));
    return out;
}

std::string sha256_hex(std::string_view bytes) {
    std::string out(crypto_hash_sha256_BYTES, '\0');
    crypto_hash_sha256(reinterpret_cast<unsigned char*>(out.data()), bytes_of(bytes), bytes.size());
    return hex_encode(out);
}

std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name) {
    while (!header.empty()) {
        const auto end = header.find(';');
        const auto pair = header.substr(0, end);
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos && trimmed(pair.substr(0, equals)) == name) {
            auto value = trimmed(pair.substr(equals + 1));
            if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
                value = value.substr(1, value.size() - 2);
            }
            return value;
        }
        header = end == std::string_view::npos ? std::string_view() : header.substr(end + 1);
    }
    return std::nullopt;
}

std::string sign(std::string_view sid, const Secret& secret) {
    return std::string(sid) + "." + signature(sid, secret);
}

std::optional<Unsigned> unsign(std::string_view value, const std::vector<Secret>& secrets, std::size_t id_length) {
    if (value.size() > 3 * (id_length + 1 + signature_length)) {
        return std::nullopt;
    }
    std::string text(value);
    if (value.find('%') != std::string_view::npos) {
        auto decoded = percent_decode(value);
        if (!decoded) {
            return std::nullopt;
        }
        text = std::move(*decoded);
    }
    const auto dot = text.rfind('.');
    if (dot == std::string::npos || text.size() - dot - 1 != signature_length) {
        return std::nullopt;
    }
    const std::string sid = text.substr(0, dot);
    if (!is_sid(sid, id_length)) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < secrets.size(); ++i) {
        const auto expected = signature(sid, secrets[i]);
        if (sodium_memcmp(expected.data(), text.data() + dot + 1, signature_length) == 0) {
            return Unsigned{sid, i != 0};
        }
    }
    return std::nullopt;
}

std::string set_cookie(
    std::string_view name,
    std::string_view value,
    const CookieAttributes& attributes,
    std::optional<Timestamp> expires
) {
    std::string out = fmt::format("{}={}", name, value);
    if (!attributes.domain.empty()) {
        out += "; Domain=" + attributes.domain;
    }
    if (!attributes.path.empty()) {
        out += "; Path=" + attributes.path;
    }
    if (expires) {
        out += "; Expires=" + http_date(*expires);
    }
    if (attributes.http_only) {
        out += "; HttpOnly";
    }
    if (attributes.secure) {
        out += "; Secure";
    }
    if (!attributes.same_site.empty()) {
        out += "; SameSite=" + attributes.same_site;
    }
    return out;
}

std::string clear_cookie(std::string_view name, const CookieAttributes& attributes) {
    std::string out = fmt::format("{}=; Max-Age=0", name);
    if (!attributes.domain.empty()) {
        out += "; Domain=" + attributes.domain;
    }
    out += "; Path=" + attributes.path + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    if (attributes.http_only) {
        out += "; HttpOnly";
    }
    if (attributes.secure) {
        out += "; Secure";
    }
    return attributes.same_site.empty() ? out : out + "; SameSite=" + attributes.same_site;
}

}  // namespace headrace::auth
