// The signed session cookie of @fastify/session: `sid + "." + base64(HMAC-SHA256(secret, sid))` without padding.
// Pure; no I/O.
#pragma once

#include "base/secret.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::auth {

// Value of the first cookie of that name in a Cookie header ("a=1; mc.sid=x"), outer quotes removed; not decoded.
std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name);

std::string sign(std::string_view sid, const Secret& secret);

struct Unsigned {
    std::string sid;
    bool old_secret = false;  // not the first secret matched: send the cookie again
};

// Takes the raw form and the percent-encoded one. nullopt: malformed, or no secret made this signature. `id_length` is
// what a session id must have; its characters are those of base64url, so that nothing odd ever reaches a Redis key.
// Signatures are compared in constant time.
std::optional<Unsigned> unsign(std::string_view value, const std::vector<Secret>& secrets, std::size_t id_length = 32);

// Attributes as they stand in the session's own `cookie` object.
struct CookieAttributes {
    std::string path = "/";
    std::string domain;             // none when empty
    std::string same_site = "Lax";  // Lax, Strict or None; none when empty
    bool http_only = true;
    bool secure = false;
};

// A Set-Cookie value in the order of attributes that the plugin writes. Without `expires`: until the browser closes.
std::string set_cookie(
    std::string_view name,
    std::string_view value,
    const CookieAttributes& attributes,
    std::optional<Timestamp> expires
);
std::string clear_cookie(std::string_view name, const CookieAttributes& attributes);

std::string sha256_hex(std::string_view bytes);
// HMAC-SHA256, 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view message);

}  // namespace headrace::auth
