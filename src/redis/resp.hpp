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

namespace headrace::redis {

// "*3\r\n$3\r\nSET\r\n…" for all of `args` (at least one), appended to `out`.
void append_command(std::string& out, std::span<const std::string_view> args);
// The same in pieces, for callers that have the parts at hand: head once, then exactly `count` arguments.
void append_head(std::string& out, std::size_t count);
void append_argument(std::string& out, std::string_view value);
void append_argument(std::string& out, std::int64_t value);
void append_argument_head(std::string& out, std::size_t bytes);  // "$n\r\n"; the caller adds n bytes and "\r\n"

// Incremental parser. feed() any pieces, then take replies until nullopt.
// Throws Error{permanent, "redis.protocol"}; after that it is dead.
class RespReader {
public:
    RespReader();
    RespReader(RespReader&&) noexcept;
    RespReader& operator=(RespReader&&) noexcept;
    ~RespReader();

    void feed(std::string_view bytes);
    std::optional<Reply> next();

private:
    struct Handle;
    std::unique_ptr<Handle> handle_;
};

}  // namespace headrace::redis
