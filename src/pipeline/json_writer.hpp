// Writes indented JSON text in the order of the calls. For texts of a few kilobytes that people read and diff.
#pragma once

#include "base/json_text.hpp"

#include <string>
#include <string_view>

namespace headrace::pipeline {

class JsonWriter {
public:
    JsonWriter& key(std::string_view name) {
        next();
        append_json_string(out_, name);
        out_ += ": ";
        after_key_ = true;
        return *this;
    }

    JsonWriter& open(char bracket) {
        next();
        out_ += bracket;
        ++depth_;
        first_ = true;
        return *this;
    }

    JsonWriter& close(char bracket) {
        --depth_;
        if (!first_) {
            line();
        }
        first_ = false;
        out_ += bracket;
        return *this;
    }

    JsonWriter& text(std::string_view value) {
        next();
        append_json_string(out_, value);
        return *this;
    }

    JsonWriter& raw(std::string_view json) {  // numbers, true, false, null
        next();
        out_ += json;
        return *this;
    }

    std::string take() && { return std::move(out_) + "\n"; }

private:
    void next() {
        if (!after_key_ && depth_ > 0) {
            out_ += first_ ? "" : ",";
            line();
        }
        first_ = false;
        after_key_ = false;
    }

    void line() {
        out_ += '\n';
        out_.append(depth_ * 2, ' ');
    }

    std::string out_;
    std::size_t depth_ = 0;
    bool first_ = true;
    bool after_key_ = false;
};

}  // namespace headrace::pipeline
