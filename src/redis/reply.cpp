#include "redis/reply.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace headrace::redis {
namespace {

Error unexpected(std::string_view wanted) {
    return Error(ErrorKind::permanent, "redis.protocol", "Redis answered something else than " + std::string(wanted));
}

}  // namespace

std::string_view ReplyPart::str() const {
    if (!is_text()) {
        throw unexpected("text");
    }
    return bytes();
}

std::int64_t ReplyPart::integer() const {
    if (type_ == Type::integer) {
        return value_;
    }
    if (!is_text()) {
        throw unexpected("an integer");
    }
    const auto text = str();
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
        throw unexpected("an integer");
    }
    return value;
}

std::span<const ReplyPart> ReplyPart::elements() const {
    if (type_ != Type::array) {
        throw unexpected("an array");
    }
    return {static_cast<const ReplyPart*>(data_), size()};
}

const ReplyPart& ReplyPart::at(std::size_t index) const {
    const auto all = elements();
    if (index >= all.size()) {
        throw unexpected("an array of this length");
    }
    return all[index];
}

void Reply::Memory::grow(std::size_t size) {
    left = std::max(size, next_block);
    next = blocks.emplace_back(std::make_unique_for_overwrite<std::byte[]>(left)).get();
    next_block *= 2;
}

Reply& Reply::operator=(Reply&& other) noexcept {
    memory_ = std::move(other.memory_);
    type_ = std::exchange(other.type_, Type::nil);
    value_ = std::exchange(other.value_, 0);
    data_ = std::exchange(other.data_, nullptr);
    return *this;
}

Error error_of(const ReplyPart& reply) {
    const std::string text(reply.error_text());
    const auto word = std::string_view(text).substr(0, text.find(' '));
    // A script's error carries the inner word behind a prefix in some versions: "ERR … OOM command not allowed …".
    if (word == "OOM" || text.find("OOM command not allowed") != std::string::npos) {
        return Error(ErrorKind::transient, "sink.redis_oom", text);
    }
    if (word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM") {
        return Error(ErrorKind::unauthorized, "redis.auth", text);
    }
    constexpr std::array<std::string_view, 11> passing = {
        "LOADING",
        "READONLY",
        "MISCONF",
        "TRYAGAIN",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "BUSY",
        "NOREPLICAS",
        "UNBLOCKED",
        "MOVED",
        "ASK"};
    const bool transient = std::find(passing.begin(), passing.end(), word) != passing.end();
    return Error(transient ? ErrorKind::transient : ErrorKind::permanent, "redis.command", text);
}

void check(const ReplyPart& reply) {
    if (reply.is_error()) {
        throw error_of(reply);
    }
}

Reply checked(Reply reply) {
    check(reply);
    return reply;
}

}  // namespace headrace::redis
