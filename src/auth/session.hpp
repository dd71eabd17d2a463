// Sessions shared with a Fastify app (@fastify/session 11, connect-redis): both can read, extend and end what the other
// has made. Immutable after construction and thread-safe; each call uses the connection it is given.
//
// Errors: those of redis::Connection. Redis away means nobody is logged in: callers answer 503.
#pragma once

#include "auth/session_json.hpp"
#include "base/secret.hpp"
#include "redis/connection.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::auth {

struct SessionOptions {
    std::vector<Secret> secrets;  // SESSION_SECRET: the first signs, all verify; ≥ 32 bytes each
    std::string cookie = "mc.sid";
    std::string prefix = "mc:sess:";                 // Redis key of a session, before its id
    std::string revoked_prefix = "mc:etl:revoked:";  // tombstones of ended sessions: must not share the prefix
    std::chrono::milliseconds max_age{std::chrono::hours(8)};
    bool secure = false;         // Secure attribute of sessions made here (behind TLS)
    std::size_t id_length = 32;  // of session ids, ours and the other app's
};

struct Session {
    std::string id;
    SessionContent content;
    std::string raw;          // as read, for compare-and-set
    bool old_secret = false;  // the cookie must be signed anew
};

class SessionStore {
public:
    // Throws config.missing without a secret, config.invalid for one shorter than 32 bytes.
    explicit SessionStore(SessionOptions options);

    const SessionOptions& options() const { return options_; }

    // The live session of a Cookie header. nullopt: no cookie, bad signature, ended, expired by its own JSON,
    // unreadable, or nobody logged in with it.
    std::optional<Session> load(redis::Connection& redis, std::string_view cookie_header, Timestamp now) const;

    // True when the header has a cookie of ours with a good signature: without one, nobody has to ask Redis.
    bool is_signed(std::string_view cookie_header) const;

    // Call for requests that a person caused. Moves the end to now + max age once a tenth of it has passed, by
    // compare-and-set: never revives or overwrites what somebody else ended or changed. The Set-Cookie value when the
    // browser must be told, also when an old secret had signed the cookie.
    std::optional<std::string> extend(redis::Connection& redis, Session& session, Timestamp now) const;

    // A new session; returns the Set-Cookie value.
    std::string create(redis::Connection& redis, const NewSession& user, Timestamp now) const;
    // Deletes it and leaves a tombstone, so that a slow request of the other app cannot bring it back.
    void end(redis::Connection& redis, std::string_view id) const;
    // For each id whether its key is there and no tombstone is. After a throw the connection is of no more use.
    std::vector<bool> alive(redis::Connection& redis, const std::vector<std::string>& ids) const;

    std::string clearing_cookie() const;

private:
    std::string revoked_key(std::string_view id) const;

    SessionOptions options_;
};

}  // namespace headrace::auth
