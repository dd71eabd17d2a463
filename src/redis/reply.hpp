// One answer of Redis. Owning value type, cheap to move; parsed by hiredis' reader straight into this form.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::redis {

class Reply {
public:
    enum class Type : std::uint8_t { nil, status, error, integer, bulk, array };

    Reply() = default;
    static Reply of_text(Type type, std::string text);  // status, error or bulk
    static Reply of_integer(std::int64_t value);
    static Reply of_array(std::size_t count);  // `count` nils, to be filled through elements()

    void set_text(Type type, std::string_view text) {
        type_ = type;
        text_.assign(text);
    }

    Type type() const { return type_; }

    bool is_nil() const { return type_ == Type::nil; }

    bool is_error() const { return type_ == Type::error; }

    bool is_integer() const { return type_ == Type::integer; }

    bool is_array() const { return type_ == Type::array; }

    bool is_text() const { return type_ == Type::bulk || type_ == Type::status; }

    // Throw Error{permanent, "redis.protocol"} on another type: the server, or a script, is not the one we know.
    const std::string& str() const;  // bulk or status
    std::string take_str();          // the same, moved out
    std::int64_t integer() const;    // integer, or a bulk that is a decimal integer
    const std::vector<Reply>& elements() const;
    std::vector<Reply>& elements();
    const Reply& at(std::size_t index) const;  // of an array; throws redis.protocol when too short

    const std::string& error_text() const { return text_; }  // of an error: the server's own words

private:
    Type type_ = Type::nil;
    std::int64_t integer_ = 0;
    std::string text_;
    std::vector<Reply> elements_;
};

// What an error reply means: OOM → sink.redis_oom (transient); NOAUTH, WRONGPASS, NOPERM → redis.auth (unauthorized);
// LOADING, READONLY, MISCONF, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, BUSY, NOREPLICAS, UNBLOCKED, MOVED, ASK →
// redis.command (transient); else redis.command (permanent). The message is the server's text.
Error error_of(const Reply& reply);

// `reply` unless it is an error, which is thrown.
Reply checked(Reply reply);

}  // namespace headrace::redis
