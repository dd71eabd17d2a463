// is_json: a recogniser that builds nothing; its depth is bounded.
#include "base/json_text.hpp"
#include "data/json.hpp"

#include <cstddef>
#include <string_view>

namespace headrace::data {
namespace {

constexpr std::size_t most_levels = 128;

class Recogniser {
public:
    explicit Recogniser(std::string_view text) : text_(text) {}

    bool run() {
        space();
        return value(0) && (space(), at_ == text_.size());
    }

private:
    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    bool take(char c) {
        if (peek() != c || at_ == text_.size()) {
            return false;
        }
        ++at_;
        return true;
    }

    void space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
            ++at_;
        }
    }

    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) {
            return false;
        }
        at_ += expected.size();
        return true;
    }

    bool digits() {
        const std::size_t from = at_;
        while (peek() >= '0' && peek() <= '9') {
            ++at_;
        }
        return at_ > from;
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) {
            return false;
        }
        if (take('.') && !digits()) {
            return false;
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            return digits();
        }
        return true;
    }

    bool escape() {
        if (take('u')) {
            for (int i = 0; i < 4; ++i, ++at_) {
                const char c = peek();
                const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                if (!hex) {
                    return false;
                }
            }
            return true;
        }
        return std::string_view("\"\\/bfnrt").find(peek()) != std::string_view::npos && at_++ < text_.size();
    }

    bool string() {
        if (!take('"')) {
            return false;
        }
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                return true;
            }
            if (static_cast<unsigned char>(c) < 0x20 || (c == '\\' && !escape())) {
                return false;
            }
        }
        return false;
    }

    bool members(char close, std::size_t level, bool named) {
        space();
        if (take(close)) {
            return true;
        }
        for (;;) {
            space();
            if (named && (!string() || (space(), !take(':')))) {
                return false;
            }
            space();
            if (!value(level + 1)) {
                return false;
            }
            space();
            if (take(close)) {
                return true;
            }
            if (!take(',')) {
                return false;
            }
        }
    }

    bool value(std::size_t level) {
        if (level > most_levels) {
            return false;
        }
        switch (peek()) {
            case '{':
                ++at_;
                return members('}', level, true);
            case '[':
                ++at_;
                return members(']', level, false);
            case '"':
                return string();
            case 't':
                return word("true");
            case 'f':
                return word("false");
            case 'n':
                return word("null");
            default:
                return number();
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

bool is_json(std::string_view text) {
    return is_utf8(text) && Recogniser(text).run();
}

}  // namespace headrace::data
