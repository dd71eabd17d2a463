#include "redis/resp.hpp"

#include <hiredis/read.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <utility>

namespace headrace::redis {
namespace {

// "$12\r\n"; `out` has room for 24 characters.
char* put_number(char* out, char mark, std::uint64_t value) {
    *out++ = mark;
    if (value < 10) {
        *out++ = static_cast<char>('0' + value);
    } else {
        out = std::to_chars(out, out + 20, value).ptr;
    }
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

void append_number(std::string& out, char mark, std::uint64_t value) {
    char text[24];
    out.append(text, static_cast<std::size_t>(put_number(text, mark, value) - text));
}

}  // namespace

void append_head(std::string& out, std::size_t count) {
    append_number(out, '*', count);
}

void append_argument_head(std::string& out, std::size_t bytes) {
    append_number(out, '$', bytes);
}

// Most arguments are short: one append instead of three.
void append_argument(std::string& out, std::string_view value) {
    constexpr std::size_t longest = 64;
    if (value.size() > longest) {
        append_number(out, '$', value.size());
        out.append(value);
        out.append("\r\n", 2);
        return;
    }
    char text[longest + 24];
    char* end = std::copy(value.begin(), value.end(), put_number(text, '$', value.size()));
    *end++ = '\r';
    *end++ = '\n';
    out.append(text, static_cast<std::size_t>(end - text));
}

void append_argument(std::string& out, std::int64_t value) {
    char digits[24];
    char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    append_argument(out, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

void append_command(std::string& out, std::span<const std::string_view> args) {
    append_head(out, args.size());
    for (auto arg : args) {
        append_argument(out, arg);
    }
}

// hiredis builds the tree by these calls: the root is in the reader's own place, children lie side by side in memory
// that belongs to the root. No exception may pass through C, so running out of memory becomes hiredis' own error.
class ReplyMaker {
public:
    static void* text(const redisReadTask* task, char* bytes, std::size_t size) noexcept {
        using Type = Reply::Type;
        return made(task, [&](Reply& root, ReplyPart& part) {
            auto* copy = static_cast<char*>(memory_of(root).take(size));
            std::copy_n(bytes, size, copy);
            part.type_ = task->type == REDIS_REPLY_ERROR    ? Type::error
                         : task->type == REDIS_REPLY_STATUS ? Type::status
                                                            : Type::bulk;
            part.data_ = copy;
            part.value_ = static_cast<std::int64_t>(size);
        });
    }

    static void* array(const redisReadTask* task, int count) noexcept {
        // An announced array allocates at once, so a broken stream could ask for anything.
        constexpr int max_elements = 1 << 24;
        if (count > max_elements) {
            return nullptr;
        }
        return made(task, [&](Reply& root, ReplyPart& part) {
            const auto size = static_cast<std::size_t>(count);
            auto* elements = static_cast<ReplyPart*>(memory_of(root).take(size * sizeof(ReplyPart)));
            for (std::size_t i = 0; i < size; ++i) {
                new (elements + i) ReplyPart();
            }
            part.type_ = Reply::Type::array;
            part.data_ = elements;
            part.value_ = count;
        });
    }

    static void* integer(const redisReadTask* task, long long value) noexcept {
        return made(task, [&](Reply&, ReplyPart& part) {
            part.type_ = Reply::Type::integer;
            part.value_ = value;
        });
    }

    static void* nil(const redisReadTask* task) noexcept {
        return made(task, [](Reply&, ReplyPart&) {});
    }

private:
    static void* made(const redisReadTask* task, auto&& fill) noexcept {
        auto& root = *static_cast<Reply*>(task->privdata);
        ReplyPart* part = &root;
        if (task->parent != nullptr) {
            part = static_cast<ReplyPart*>(static_cast<ReplyPart*>(task->parent->obj)->data_) + task->idx;
        }
        try {
            fill(root, *part);
            return part;
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }

    static Reply::Memory& memory_of(Reply& root) {
        if (!root.memory_) {
            root.memory_ = std::make_unique_for_overwrite<Reply::Memory>();
        }
        return *root.memory_;
    }
};

struct RespReader::Handle {
    redisReplyObjectFunctions functions =
        {ReplyMaker::text, ReplyMaker::array, ReplyMaker::integer, ReplyMaker::nil, [](void*) {}};
    redisReader* reader = redisReaderCreateWithFunctions(&functions);
    Reply root;  // of the reply that is being read

    Handle() {
        if (reader == nullptr) {
            throw std::bad_alloc();
        }
        reader->privdata = &root;
    }

    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    ~Handle() { redisReaderFree(reader); }

    [[noreturn]] void fail() const {
        throw Error(ErrorKind::permanent, "redis.protocol", std::string("Redis reply: ") + reader->errstr);
    }
};

RespReader::RespReader() : handle_(std::make_unique<Handle>()) {}

RespReader::RespReader(RespReader&&) noexcept = default;
RespReader& RespReader::operator=(RespReader&&) noexcept = default;
RespReader::~RespReader() = default;

void RespReader::feed(std::string_view bytes) {
    if (redisReaderFeed(handle_->reader, bytes.data(), bytes.size()) != REDIS_OK) {
        handle_->fail();
    }
}

std::optional<Reply> RespReader::next() {
    void* out = nullptr;
    if (redisReaderGetReply(handle_->reader, &out) != REDIS_OK) {
        handle_->fail();
    }
    if (out == nullptr) {
        return std::nullopt;
    }
    return std::exchange(handle_->root, {});
}

}  // namespace headrace::redis
