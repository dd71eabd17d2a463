#include "data/json.hpp"

#include "base/json_escape.hpp"
#include "data/number_text.hpp"
#include "data/time_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace headrace::data {
namespace {

// Longer texts are escaped piece by piece, so that the room for the worst case stays small.
constexpr std::size_t piece_size = 1024;
constexpr std::size_t fixed_text_max = time_text_max + 2 + buffer_padding;
static_assert(float_text_max <= time_text_max && integer_text_max <= time_text_max);

// Room in a Buffer<char> for raw pointer writes. The write position is a plain local of the callers, handed in and out
// by value: stores through char* may alias everything, and a position kept in memory would be reloaded after each of
// them.
class Room {
public:
    explicit Room(Buffer<char>& out) : out_(out), limit_(out.data() + out.capacity()) {}

    char* begin() { return out_.data() + out_.size(); }

    // Makes room for `count` bytes at `at`; returns the position, which moves when the buffer does.
    [[gnu::always_inline]] char* ask(char* at, std::size_t count) {
        return static_cast<std::size_t>(limit_ - at) < count ? more(at, count) : at;
    }

    void finish(const char* at) { out_.resize(static_cast<std::size_t>(at - out_.data())); }

private:
    [[gnu::noinline]] char* more(char* at, std::size_t count) {
        finish(at);
        out_.reserve(out_.size() + count);
        limit_ = out_.data() + out_.capacity();
        return begin();
    }

    Buffer<char>& out_;
    char* limit_;
};

char* copy(char* at, std::string_view text) {
    if (!text.empty()) {
        std::memcpy(at, text.data(), text.size());
    }
    return at + text.size();
}

[[gnu::noinline]] char* write_long_string(Room& room, char* at, std::string_view text) {
    at = room.ask(at, 1);
    *at++ = '"';
    while (!text.empty()) {
        const std::size_t size = std::min(piece_size, text.size());
        std::size_t taken = 0;
        at = room.ask(at, escaped_size_max(size) + 1);
        at = escape_json_piece(at, text.data(), size, text.size(), taken);
        text.remove_prefix(taken);
    }
    at = room.ask(at, 1);
    *at++ = '"';
    return at;
}

// `text` lies in a Buffer<char>: it has padding behind it.
char* write_string(Room& room, char* at, std::string_view text) {
    if (text.size() > piece_size) {
        return write_long_string(room, at, text);
    }
    at = room.ask(at, escaped_size_max(text.size()) + 2);
    *at++ = '"';
    at = escape_json_padded(at, text.data(), text.size());
    *at++ = '"';
    return at;
}

char* write_quotable(Room& room, char* at, std::string_view text) {
    constexpr std::size_t most_short = 128;
    at = room.ask(at, text.size() + buffer_padding + 2);
    *at++ = '"';
    at = text.size() > most_short ? copy(at, text) : copy_padded(at, text.data(), text.size());
    *at++ = '"';
    return at;
}

char* write_base64(Room& room, char* at, std::string_view bytes) {
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    at = room.ask(at, bytes.size() / 3 * 4 + 8);
    const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
    std::size_t i = 0;
    for (; i + 3 <= bytes.size(); i += 3) {
        const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = alphabet[group >> 6 & 63];
        *at++ = alphabet[group & 63];
    }
    if (const std::size_t left = bytes.size() - i; left > 0) {
        const unsigned group = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
        *at++ = alphabet[group >> 18];
        *at++ = alphabet[group >> 12 & 63];
        *at++ = left == 2 ? alphabet[group >> 6 & 63] : '=';
        *at++ = '=';
    }
    return at;
}

template <char* (*Write)(char*, std::int64_t)>
char* write_quoted(char* at, std::int64_t value, bool quotes) {
    *at = '"';
    at = Write(at + (quotes ? 1 : 0), value);
    *at = '"';
    return at + (quotes ? 1 : 0);
}

// One of the fixed kinds; the caller has made room for fixed_text_max. `json`: with quotes and null, else plain.
char* write_fixed(char* at, Kind kind, std::int64_t bits, bool json) {
    switch (kind) {
        case Kind::boolean:
            return copy(at, bits != 0 ? "true" : "false");
        case Kind::int64:
            return write_int(at, bits);
        case Kind::uint64:
            return write_uint(at, static_cast<std::uint64_t>(bits));
        case Kind::float64:
            if (const auto value = std::bit_cast<double>(bits); std::isfinite(value)) {
                return write_float(at, value);
            }
            return json ? copy(at, "null") : at;
        case Kind::date:
            return write_quoted<write_date>(at, bits, json);
        case Kind::time:
            return write_quoted<write_time>(at, bits, json);
        default:
            return write_quoted<write_timestamp>(at, bits, json);
    }
}

char* write_value(Room& room, char* at, const Column& column, std::size_t row) {
    at = room.ask(at, fixed_text_max);
    if (column.is_null(row)) {
        return copy(at, "null");
    }
    const Kind kind = column.kind();
    if (!is_var(kind)) {
        return write_fixed(at, kind, column.int64(row), true);
    }
    const auto text = column.text(row);
    if (kind == Kind::string) {
        return column.quotable() ? write_quotable(room, at, text) : write_string(room, at, text);
    }
    if (kind == Kind::bytes) {
        *at++ = '"';
        at = room.ask(write_base64(room, at, text), 1);
        *at++ = '"';
        return at;
    }
    return copy(room.ask(at, text.size()), text);
}

}  // namespace

JsonEncoder::JsonEncoder(const Schema& schema) {
    for (const auto& field : schema.fields) {
        keys_.push_back(key_ends_.empty() ? '{' : ',');
        append_json_text(keys_, field.name);
        keys_.push_back(':');
        key_ends_.push_back(static_cast<std::uint32_t>(keys_.size()));
    }
}

void JsonEncoder::append_object(Buffer<char>& out, const Batch& batch, std::size_t row) const {
    append_objects(out, batch, row, row + 1);
}

void JsonEncoder::append_objects(Buffer<char>& out, const Batch& batch, std::size_t from, std::size_t to) const {
    Room room(out);
    char* at = room.begin();
    const std::size_t width = key_ends_.size();
    for (std::size_t row = from; row < to; ++row) {
        std::uint32_t begin = 0;
        if (width == 0) {
            at = room.ask(at, 1);
            *at++ = '{';
        }
        for (std::size_t i = 0; i < width; ++i) {
            const std::uint32_t end = key_ends_[i];
            at = room.ask(at, end - begin + buffer_padding);
            at = copy_padded(at, keys_.data() + begin, end - begin);
            at = write_value(room, at, batch.column(i), row);
            begin = end;
        }
        at = room.ask(at, 2);
        *at++ = '}';
        *at = ',';
        at += row + 1 < to ? 1 : 0;
    }
    room.finish(at);
}

void append_json_value(Buffer<char>& out, const Column& column, std::size_t row) {
    Room room(out);
    room.finish(write_value(room, room.begin(), column, row));
}

void append_json_text(Buffer<char>& out, std::string_view text) {
    Room room(out);
    room.finish(write_long_string(room, room.begin(), text));
}

void append_plain_value(Buffer<char>& out, const Column& column, std::size_t row) {
    if (column.is_null(row)) {
        return;
    }
    Room room(out);
    char* at = room.ask(room.begin(), fixed_text_max);
    const Kind kind = column.kind();
    if (!is_var(kind)) {
        at = write_fixed(at, kind, column.int64(row), false);
    } else if (kind == Kind::bytes) {
        at = write_base64(room, at, column.text(row));
    } else {
        at = copy(room.ask(at, column.text(row).size()), column.text(row));
    }
    room.finish(at);
}

}  // namespace headrace::data
