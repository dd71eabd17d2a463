// One answer of Redis: a tree in one block of memory, as it came off the wire. RespReader makes them (resp.hpp).
// Whoever keeps a text longer than the reply copies it.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::redis {

// A whole reply or one element of it. Lives in its Reply.
class ReplyPart {
public:
    enum class Type : std::uint8_t { nil, status, error, integer, bulk, array };

    ReplyPart(const ReplyPart&) = delete;
    ReplyPart& operator=(const ReplyPart&) = delete;

    Type type() const { return type_; }

    bool is_nil() const { return type_ == Type::nil; }

    bool is_error() const { return type_ == Type::error; }

    bool is_integer() const { return type_ == Type::integer; }

    bool is_array() const { return type_ == Type::array; }

    bool is_text() const { return type_ == Type::bulk || type_ == Type::status; }

    // Throw Error{permanent, "redis.protocol"} on another type: the server, or a script, is not the one we know.
    std::string_view str() const [[clang::lifetimebound]];  // bulk or status

    std::string text() const { return std::string(str()); }  // the same, to be kept

    std::int64_t integer() const;  // integer, or a bulk that is a decimal integer
    std::span<const ReplyPart> elements() const [[clang::lifetimebound]];
    const ReplyPart& at(std::size_t index) const
        [[clang::lifetimebound]];  // of an array; throws redis.protocol when too short

    // Of an error: the server's own words.
    std::string_view error_text() const [[clang::lifetimebound]] { return bytes(); }

protected:
    ReplyPart() = default;

private:
    friend class Reply;
    friend class RespReader;

    std::size_t size() const { return static_cast<std::size_t>(value_); }

    std::string_view bytes() const { return {static_cast<const char*>(data_), size()}; }

    Type type_ = Type::nil;
    std::int64_t value_ = 0;  // the integer, or how many bytes or elements there are
    void* data_ = nullptr;    // the text, or the first element
};

// Owns the tree. Moving it moves nothing but the root: parts stay where they are.
class Reply : public ReplyPart {
public:
    Reply() = default;

    Reply(Reply&& other) noexcept { *this = std::move(other); }

    Reply& operator=(Reply&& other) noexcept;

private:
    friend class RespReader;

    // Grows only. Most replies have room in the first block, which malloc has at hand (its cache ends at 1032 bytes).
    struct Memory {
        alignas(ReplyPart) std::byte first[960];
        std::byte* next = first;
        std::size_t left = sizeof first;
        std::size_t next_block = 4 * sizeof first;
        std::vector<std::unique_ptr<std::byte[]>> blocks;

        void* take(std::size_t size) {  // aligned for a ReplyPart
            constexpr std::size_t step = alignof(ReplyPart);
            size = (size + step - 1) / step * step;
            if (size > left) {
                grow(size);
            }
            left -= size;
            return std::exchange(next, next + size);
        }

        void grow(std::size_t size);
    };

    void* take(std::size_t size) {
        if (!memory_) {
            memory_ = std::make_unique_for_overwrite<Memory>();
        }
        return memory_->take(size);
    }

    std::unique_ptr<Memory> memory_;  // none: no texts and no elements
};

// What an error reply means: OOM → sink.redis_oom (transient); NOAUTH, WRONGPASS, NOPERM → redis.auth (unauthorized);
// LOADING, READONLY, MISCONF, TRYAGAIN, CLUSTERDOWN, MASTERDOWN, BUSY, NOREPLICAS, UNBLOCKED, MOVED, ASK →
// redis.command (transient); else redis.command (permanent). The message is the server's text.
Error error_of(const ReplyPart& reply);

// Throws what an error reply means.
void check(const ReplyPart& reply);
Reply checked(Reply reply);  // `reply`, unless it is an error

}  // namespace headrace::redis
