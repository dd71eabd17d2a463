#include "auth/session.hpp"

#include "base/ids.hpp"
#include "base/log.hpp"
#include "redis/script.hpp"

#include <fmt/core.h>

namespace headrace::auth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t session_cookie_ttl = 86'400;  // seconds; what connect-redis uses when a session has no end

constexpr std::string_view swap_body =
    "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2],'EX',ARGV[3]) return 1 end return 0";

std::string ttl_text(milliseconds span) {
    return std::to_string(std::chrono::ceil<seconds>(span).count());
}

CookieAttributes own_attributes(const SessionOptions& options) {
    CookieAttributes out;
    out.secure = options.secure;
    return out;
}

}  // namespace

SessionStore::SessionStore(SessionOptions options) : options_(std::move(options)) {
    if (options_.secrets.empty()) {
        throw Error(ErrorKind::invalid, "config.missing", "SESSION_SECRET is not set");
    }
    for (const auto& secret : options_.secrets) {
        if (secret.reveal().size() < 32) {
            throw Error(ErrorKind::invalid, "config.invalid", "SESSION_SECRET must have at least 32 bytes");
        }
    }
}

std::string SessionStore::revoked_key(std::string_view id) const {
    return options_.revoked_prefix + sha256_hex(id);
}

std::optional<Session> SessionStore::load(redis::Connection& redis, std::string_view cookie_header, Timestamp now)
    const {
    const auto cookie = find_cookie(cookie_header, options_.cookie);
    auto known = cookie ? unsign(*cookie, options_.secrets, options_.id_length) : std::nullopt;
    if (!known) {
        return std::nullopt;
    }
    auto reply = redis.command({"MGET", options_.prefix + known->sid, revoked_key(known->sid)});
    if (reply.at(0).is_nil() || !reply.at(1).is_nil()) {
        return std::nullopt;
    }
    Session session{known->sid, {}, reply.elements()[0].text(), known->old_secret};
    auto content = read_session(session.raw);
    if (!content) {
        log::warn(
            "a session in Redis is not readable; its user counts as logged out",
            {{"session", sha256_hex(session.id).substr(0, 12)}}
        );
        return std::nullopt;
    }
    if (content->user_id.empty() || (content->expires && *content->expires <= now)) {
        return std::nullopt;
    }
    session.content = std::move(*content);
    return session;
}

bool SessionStore::is_signed(std::string_view cookie_header) const {
    const auto cookie = find_cookie(cookie_header, options_.cookie);
    return cookie && unsign(*cookie, options_.secrets, options_.id_length);
}

std::optional<std::string> SessionStore::extend(redis::Connection& redis, Session& session, Timestamp now) const {
    auto& content = session.content;
    const auto key = options_.prefix + session.id;
    bool tell = session.old_secret;
    if (!content.expires) {
        // Lives until the browser closes; the key must not die before.
        if (redis.command({"TTL", key}).integer() < session_cookie_ttl * 9 / 10) {
            redis.command({"EXPIRE", key, std::to_string(session_cookie_ttl)});
        }
    } else if (content.max_age && now + *content.max_age - *content.expires > *content.max_age / 10) {
        const auto expires = std::chrono::floor<milliseconds>(now) + *content.max_age;
        auto text = with_expires(session.raw, expires);
        static const redis::Script swap("session swap", 1, swap_body);
        if (text) {
            const auto ttl = ttl_text(*content.max_age);
            const std::string_view args[] = {key, session.raw, *text, ttl};
            if (redis::eval(redis, swap, args).integer() == 1) {
                session.raw = std::move(*text);
                content.expires = expires;
                tell = true;
            }
        }
    }
    if (!tell) {
        return std::nullopt;
    }
    return set_cookie(options_.cookie, sign(session.id, options_.secrets.front()), content.cookie, content.expires);
}

std::string SessionStore::create(redis::Connection& redis, const NewSession& user, Timestamp now) const {
    auto id = random_token(options_.id_length * 3 / 4);
    id.resize(options_.id_length, '-');
    const auto expires = std::chrono::floor<milliseconds>(now) + options_.max_age;
    redis.command(
        {"SET",
         options_.prefix + id,
         make_session(user, expires, options_.max_age, options_.secure),
         "EX",
         ttl_text(options_.max_age)}
    );
    return set_cookie(options_.cookie, sign(id, options_.secrets.front()), own_attributes(options_), expires);
}

void SessionStore::end(redis::Connection& redis, std::string_view id) const {
    // The tombstone first: between the two commands the session is dead already.
    redis.append(
        {"SET",
         revoked_key(id),
         "1",
         "EX",
         ttl_text(std::max(options_.max_age, milliseconds(seconds(session_cookie_ttl))))}
    );
    redis.append({"DEL", options_.prefix + std::string(id)});
    redis.flush();
    const auto first = redis.read_reply();
    const auto second = redis.read_reply();
    redis::check(first);
    redis::check(second);
}

std::vector<bool> SessionStore::alive(redis::Connection& redis, const std::vector<std::string>& ids) const {
    std::vector<bool> out;
    if (ids.empty()) {
        return out;
    }
    for (const auto& id : ids) {
        redis.append({"EXISTS", options_.prefix + id});
        redis.append({"EXISTS", revoked_key(id)});
    }
    redis.flush();
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto there = redis::checked(redis.read_reply()).integer();
        const auto revoked = redis::checked(redis.read_reply()).integer();
        out.push_back(there == 1 && revoked == 0);
    }
    return out;
}

std::string SessionStore::clearing_cookie() const {
    return clear_cookie(options_.cookie, own_attributes(options_));
}

}  // namespace headrace::auth
