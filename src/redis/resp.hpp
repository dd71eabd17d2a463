// RESP2 as bytes: commands out, replies in. No I/O.
#pragma once

#include "redis/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::redis {

// "*3\r\n$3\r\nSET\r\n…" for all of `args` (at least one), appended to `out`.
void append_command(std::string& out, std::span<const std::string_view> args);
// The same in pieces, for callers that have the parts at hand: head once, then exactly `count` arguments.
void append_head(std::string& out, std::size_t count);
void append_argument(std::string& out, std::string_view value);
void append_argument(std::string& out, std::int64_t value);
void append_argument_head(std::string& out, std::size_t bytes);  // "$n\r\n"; the caller adds n bytes and "\r\n"

// Incremental parser of RESP2 (redis.io, "Redis serialization protocol specification"). Hand it any pieces, then take
// replies until nullopt. Memory: what is unread, and the reply that is being read, which grows with the bytes that
// come. Throws Error{permanent, "redis.protocol"} for what Redis would not say; after that it is dead.
class RespReader {
public:
    // Where the next bytes may be put, at least `least` of them; came() says how many it were. Until the next call.
    std::span<char> room(std::size_t least);

    void came(std::size_t count) { end_ += count; }

    void feed(std::string_view bytes);  // the same, with a copy

    std::optional<Reply> next();

private:
    struct Level {  // elements of an array that are still to be read
        ReplyPart* next = nullptr;
        ReplyPart* end = nullptr;
    };

    void set_text(ReplyPart& part, ReplyPart::Type type, std::string_view text);
    Level set_array(ReplyPart& part, std::int64_t count);

    // [begin_, end_) of the buffer is unread.
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t searched_ = 0;  // behind begin_: no end of the line is there
    Reply root_;
    std::vector<Level> open_;
};

}  // namespace headrace::redis
