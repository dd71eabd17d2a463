#include "redis/resp.hpp"

#include <hiredis/read.h>

#include <charconv>
#include <new>

namespace headrace::redis {
namespace {

void append_number(std::string& out, char mark, std::uint64_t value) {
    char digits[24];
    digits[0] = mark;
    char* end = std::to_chars(digits + 1, digits + 22, value).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out.append(digits, static_cast<std::size_t>(end - digits));
}

// An announced array allocates at once, so a broken stream could ask for anything.
constexpr int max_elements = 1 << 24;

// hiredis builds the tree by these calls: children are written in place into their parent's elements. No exception may
// pass through C, so running out of memory becomes hiredis' own error.
Reply* place(const redisReadTask* task) {
    if (task->parent != nullptr) {
        auto* parent = static_cast<Reply*>(task->parent->obj);
        return &parent->elements()[static_cast<std::size_t>(task->idx)];
    }
    return new Reply();
}

template <class Fill>
void* filled(const redisReadTask* task, Fill&& fill) noexcept {
    Reply* reply = nullptr;
    try {
        reply = place(task);
        fill(*reply);
        return reply;
    } catch (const std::bad_alloc&) {
        if (task->parent == nullptr) {
            delete reply;
        }
        return nullptr;
    }
}

void* make_text(const redisReadTask* task, char* text, std::size_t size) {
    const auto type = task->type == REDIS_REPLY_ERROR    ? Reply::Type::error
                      : task->type == REDIS_REPLY_STATUS ? Reply::Type::status
                                                         : Reply::Type::bulk;
    return filled(task, [&](Reply& reply) { reply.set_text(type, {text, size}); });
}

void* make_array(const redisReadTask* task, int count) {
    if (count > max_elements) {
        return nullptr;
    }
    return filled(task, [&](Reply& reply) { reply = Reply::of_array(static_cast<std::size_t>(count)); });
}

void* make_integer(const redisReadTask* task, long long value) {
    return filled(task, [&](Reply& reply) { reply = Reply::of_integer(value); });
}

void* make_nil(const redisReadTask* task) {
    return filled(task, [](Reply&) {});
}

void free_root(void* reply) {
    delete static_cast<Reply*>(reply);
}

redisReplyObjectFunctions functions = {make_text, make_array, make_integer, make_nil, free_root};

}  // namespace

void append_head(std::string& out, std::size_t count) {
    append_number(out, '*', count);
}

void append_argument_head(std::string& out, std::size_t bytes) {
    append_number(out, '$', bytes);
}

void append_argument(std::string& out, std::string_view value) {
    append_number(out, '$', value.size());
    out.append(value);
    out.append("\r\n", 2);
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

struct RespReader::Handle {
    redisReader* reader = redisReaderCreateWithFunctions(&functions);

    Handle() {
        if (reader == nullptr) {
            throw std::bad_alloc();
        }
        reader->fn = &functions;
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
    std::unique_ptr<Reply> reply(static_cast<Reply*>(out));
    return std::move(*reply);
}

}  // namespace headrace::redis
