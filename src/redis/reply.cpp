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

Reply Reply::of_text(Type type, std::string text) {
    Reply reply;
    reply.type_ = type;
    reply.text_ = std::move(text);
    return reply;
}

Reply Reply::of_integer(std::int64_t value) {
    Reply reply;
    reply.type_ = Type::integer;
    reply.integer_ = value;
    return reply;
}

Reply Reply::of_array(std::size_t count) {
    Reply reply;
    reply.type_ = Type::array;
    reply.elements_.resize(count);
    return reply;
}

const std::string& Reply::str() const {
    if (!is_text()) {
        throw unexpected("text");
    }
    return text_;
}

std::string Reply::take_str() {
    if (!is_text()) {
        throw unexpected("text");
    }
    return std::move(text_);
}

std::int64_t Reply::integer() const {
    if (type_ == Type::integer) {
        return integer_;
    }
    std::int64_t value = 0;
    const char* end = text_.data() + text_.size();
    auto parsed = std::from_chars(text_.data(), end, value);
    if (!is_text() || parsed.ec != std::errc{} || parsed.ptr != end) {
        throw unexpected("an integer");
    }
    return value;
}

const std::vector<Reply>& Reply::elements() const {
    if (type_ != Type::array) {
        throw unexpected("an array");
    }
    return elements_;
}

std::vector<Reply>& Reply::elements() {
    if (type_ != Type::array) {
        throw unexpected("an array");
    }
    return elements_;
}

const Reply& Reply::at(std::size_t index) const {
    const auto& all = elements();
    if (index >= all.size()) {
        throw unexpected("an array of this length");
    }
    return all[index];
}

Error error_of(const Reply& reply) {
    const auto& text = reply.error_text();
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

Reply checked(Reply reply) {
    if (reply.is_error()) {
        throw error_of(reply);
    }
    return reply;
}

}  // namespace headrace::redis
