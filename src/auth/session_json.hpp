// The JSON that @fastify/session keeps under a session's key. Pure; no I/O. What we do not know stays byte for byte:
// an extended session is the old text with another timestamp spliced in, never a re-serialised one.
#pragma once

#include "auth/cookie.hpp"
#include "auth/role.hpp"
#include "base/time.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::auth {

struct SessionContent {
    std::optional<Timestamp> expires;                  // cookie.expires; none: lives as long as its key
    std::optional<std::chrono::milliseconds> max_age;  // cookie.originalMaxAge
    CookieAttributes cookie;
    std::string user_id;       // userId or user.id, as text; "" = nobody is logged in
    std::string name;          // user.name, else user.email, else user_id
    std::optional<Role> role;  // user.role, or the highest known of user.roles
};

// nullopt when the text is not such an object.
std::optional<SessionContent> read_session(std::string_view json);

// `json` with cookie.expires replaced; nullopt when there is no such string of 24 characters.
std::optional<std::string> with_expires(std::string_view json, Timestamp expires);

struct NewSession {
    std::string user_id;
    std::string name;
    Role role = Role::viewer;
};

// {"cookie":{"expires":…,"originalMaxAge":…,"sameSite":"lax","secure":…,"path":"/","httpOnly":true,"domain":null},"userId":…,"user":…}
std::string make_session(const NewSession& user, Timestamp expires, std::chrono::milliseconds max_age, bool secure);

}  // namespace headrace::auth
