// Inside of the library: one EVALSHA written argument by argument.
#pragma once

#include "base/error.hpp"
#include "bullmq/scripts.hpp"
#include "redis/resp.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace headrace::bullmq {

// Keys first, then exactly `args` arguments; finish() checks the counts, because a shifted argument would be silent.
class Calls::Builder {
public:
    Builder(const redis::Script& script, std::size_t args) : left_(script.key_count + args) {
        call_.script = &script;
        call_.resp.reserve(1024);
        redis::append_evalsha_head(call_.resp, script, left_);
    }

    // Goes on after a head that many calls have in common; `room` is memory of an earlier call.
    Builder(const Head& head, std::string&& room) : call_{head.script, std::move(room)}, left_(head.left) {
        call_.resp.reserve(head.resp.size() + 512);
        call_.resp = head.resp;
    }

    Head head() && { return {call_.script, std::move(call_.resp), left_}; }

    Builder& keys(std::initializer_list<std::string_view> keys) {
        for (auto key : keys) {
            arg(key);
        }
        return *this;
    }

    Builder& arg(std::string_view value) {
        redis::append_argument(call_.resp, value);
        --left_;
        return *this;
    }

    Builder& encoded(const Encoded& args) {
        call_.resp.append(args.resp);
        left_ -= args.count;
        return *this;
    }

    // One argument of several pieces.
    Builder& joined(std::initializer_list<std::string_view> pieces) {
        std::size_t size = 0;
        for (auto piece : pieces) {
            size += piece.size();
        }
        redis::append_argument_head(call_.resp, size);
        for (auto piece : pieces) {
            call_.resp.append(piece);
        }
        call_.resp.append("\r\n", 2);
        --left_;
        return *this;
    }

    Builder& arg(const std::string& value) { return arg(std::string_view(value)); }

    Builder& arg(const char* value) { return arg(std::string_view(value)); }

    Builder& arg(std::int64_t value) {
        redis::append_argument(call_.resp, value);
        --left_;
        return *this;
    }

    Builder& arg(Millis value) { return arg(std::int64_t{value.count()}); }

    Builder& flag(bool value) { return arg(value ? "1" : "0"); }

    Call finish() {
        if (left_ != 0) {
            throw Error(ErrorKind::bug, "internal.bug", "wrong number of arguments for script " + call_.script->name);
        }
        return std::move(call_);
    }

private:
    Call call_;
    std::size_t left_;
};

}  // namespace headrace::bullmq
