#include "redis/resp.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
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

[[noreturn, gnu::cold]] void refuse(const char* what, std::int64_t number) {
    throw Error(ErrorKind::permanent, "redis.protocol", "Redis reply: " + std::string(what) + std::to_string(number));
}

[[noreturn, gnu::cold]] void refuse(const char* what) {
    throw Error(ErrorKind::permanent, "redis.protocol", "Redis reply: " + std::string(what));
}

// The integer of a line that goes on at `at`; where the next line begins, nullptr when this one is not all there.
const char* read_number(const char* at, const char* end, std::int64_t& number) {
    constexpr int surely_fits = 18;  // digits
    const bool negative = at != end && *at == '-';
    const char* const digits = at + (negative ? 1 : 0);
    const char* stop = digits;
    std::int64_t value = 0;
    for (; stop != end; ++stop) {
        const unsigned digit = static_cast<unsigned char>(*stop) - '0';
        if (digit > 9 || stop - digits == surely_fits) {
            break;
        }
        value = value * 10 + digit;
    }
    if (stop - digits == surely_fits) {
        const auto exact = std::from_chars(at, end, value);
        if (exact.ec != std::errc{}) {
            refuse("a number that is too large");
        }
        stop = exact.ptr;
    } else if (negative) {
        value = -value;
    }
    if (stop == end) {
        return nullptr;
    }
    if (*stop != '\r' || stop == digits) {
        refuse("a number is broken");
    }
    if (stop + 1 == end) {
        return nullptr;
    }
    if (stop[1] != '\n') {
        refuse("a number is broken");
    }
    number = value;
    return stop + 2;
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

std::span<char> RespReader::room(std::size_t least) {
    constexpr std::size_t kept = 64 * 1024;
    if (begin_ == end_) {
        begin_ = end_ = 0;
        if (capacity_ > kept) {
            buffer_.reset();
            capacity_ = 0;
        }
    }
    if (capacity_ - end_ < least) {
        const auto unread = end_ - begin_;
        if (capacity_ - unread < least) {
            const auto larger = std::max(2 * capacity_, unread + least);
            auto buffer = std::make_unique_for_overwrite<char[]>(larger);
            std::copy_n(buffer_.get() + begin_, unread, buffer.get());
            buffer_ = std::move(buffer);
            capacity_ = larger;
        } else {
            std::memmove(buffer_.get(), buffer_.get() + begin_, unread);
        }
        begin_ = 0;
        end_ = unread;
    }
    return {buffer_.get() + end_, capacity_ - end_};
}

void RespReader::feed(std::string_view bytes) {
    std::copy(bytes.begin(), bytes.end(), room(bytes.size()).begin());
    came(bytes.size());
}

std::optional<Reply> RespReader::next() {
    const char* const end = buffer_.get() + end_;
    for (;;) {
        const char* at = buffer_.get() + begin_;
        if (at == end) {
            return std::nullopt;
        }
        auto& part = open_.empty() ? root_ : *open_.back().next;
        const char mark = *at++;
        Level elements;
        if (mark == '$' || mark == ':' || mark == '*') {
            std::int64_t number = 0;
            at = read_number(at, end, number);
            if (at == nullptr) {
                return std::nullopt;
            }
            if (mark == ':') {
                part.type_ = Reply::Type::integer;
                part.value_ = number;
            } else if (number < 0) {
                if (number != -1) {
                    refuse("a size of ", number);
                }
            } else if (mark == '*') {
                elements = set_array(part, number);
            } else {
                const auto size = static_cast<std::size_t>(number);
                if (static_cast<std::size_t>(end - at) < size + 2) {
                    return std::nullopt;
                }
                if (at[size] != '\r' || at[size + 1] != '\n') {
                    refuse("a text is longer than announced, which was ", number);
                }
                set_text(part, Reply::Type::bulk, {at, size});
                at += size + 2;
            }
        } else if (mark == '+' || mark == '-') {
            const std::string_view rest(at, end);
            const auto size = rest.find("\r\n", searched_);
            if (size == std::string_view::npos) {
                searched_ = rest.empty() ? 0 : rest.size() - 1;
                return std::nullopt;
            }
            searched_ = 0;
            set_text(part, mark == '+' ? Reply::Type::status : Reply::Type::error, rest.substr(0, size));
            at += size + 2;
        } else {
            refuse("it begins with the byte ", static_cast<unsigned char>(mark));
        }
        begin_ = static_cast<std::size_t>(at - buffer_.get());
        if (!open_.empty()) {
            ++open_.back().next;
        }
        if (elements.next != elements.end) {
            open_.push_back(elements);
            continue;
        }
        while (!open_.empty() && open_.back().next == open_.back().end) {
            open_.pop_back();
        }
        if (open_.empty()) {
            return std::exchange(root_, {});
        }
    }
}

inline void RespReader::set_text(ReplyPart& part, ReplyPart::Type type, std::string_view text) {
    auto* copy = static_cast<char*>(root_.take(text.size()));
    std::copy(text.begin(), text.end(), copy);
    part.type_ = type;
    part.data_ = copy;
    part.value_ = static_cast<std::int64_t>(text.size());
}

RespReader::Level RespReader::set_array(ReplyPart& part, std::int64_t count) {
    // An announced array allocates at once, so a broken stream could ask for anything.
    constexpr std::int64_t max_elements = 1 << 24;
    if (count > max_elements) {
        refuse("an array of too many elements: ", count);
    }
    auto* elements = static_cast<ReplyPart*>(root_.take(static_cast<std::size_t>(count) * sizeof(ReplyPart)));
    for (std::int64_t i = 0; i < count; ++i) {
        new (elements + i) ReplyPart();
    }
    part.type_ = Reply::Type::array;
    part.data_ = elements;
    part.value_ = count;
    return {elements, elements + count};
}

}  // namespace headrace::redis
