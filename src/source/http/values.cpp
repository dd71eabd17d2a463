#include "source/http/values.hpp"

#include "base/encoding.hpp"
#include "data/decimal.hpp"
#include "data/time_text.hpp"

#include <charconv>
#include <cstring>

namespace headrace::source::http {
namespace {

using data::Kind;

unsigned hex_value(const char* at) {
    unsigned value = 0;
    std::from_chars(at, at + 4, value, 16);
    return value;
}

void add_utf8(std::string& out, unsigned code) {
    const auto add = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        add(code);
    } else if (code < 0x800) {
        add(0xc0 | code >> 6);
        add(0x80 | (code & 63));
    } else if (code < 0x10000) {
        add(0xe0 | code >> 12);
        add(0x80 | (code >> 6 & 63));
        add(0x80 | (code & 63));
    } else {
        add(0xf0 | code >> 18);
        add(0x80 | (code >> 12 & 63));
        add(0x80 | (code >> 6 & 63));
        add(0x80 | (code & 63));
    }
}

// `at` is the u of \uXXXX; returns how many bytes were used from there.
std::size_t add_unicode(std::string_view rest, std::string& out) {
    const auto code = hex_value(rest.data() + 1);
    if (code < 0xd800 || code > 0xdfff) {
        add_utf8(out, code);
        return 5;
    }
    if (code < 0xdc00 && rest.size() >= 11 && rest[5] == '\\' && rest[6] == 'u') {
        const auto low = hex_value(rest.data() + 7);
        if (low >= 0xdc00 && low <= 0xdfff) {
            add_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
            return 11;
        }
    }
    add_utf8(out, 0xfffd);
    return 5;
}

template <class Value>
std::optional<Value> parse_exactly(std::string_view text) {
    Value value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

template <class Value>
bool add_fixed(data::Column& column, std::optional<Value> value) {
    if (!value) {
        return false;
    }
    column.add_int64(static_cast<std::int64_t>(*value));
    return true;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
    if (const auto plain = parse_exactly<std::int64_t>(text)) {
        return plain;
    }
    const auto exact = data::parse_decimal(text);
    return exact ? data::to_int64(*exact) : std::nullopt;
}

std::optional<std::uint64_t> parse_uint(std::string_view text) {
    if (const auto plain = parse_exactly<std::uint64_t>(text)) {
        return plain;
    }
    const auto exact = data::parse_decimal(text);
    return exact ? data::to_uint64(*exact) : std::nullopt;
}

std::optional<bool> parse_bool(std::string_view text) {
    return text == "true" ? std::optional(true) : text == "false" ? std::optional(false) : std::nullopt;
}

std::optional<std::int64_t> parse_epoch(std::string_view text, int digits) {
    auto exact = data::parse_decimal(text);
    if (!exact) {
        return std::nullopt;
    }
    if (!exact->is_zero()) {
        exact->scale -= digits;
    }
    return data::to_int64(*exact);
}

bool add_decimal(const data::Field& field, std::string_view text, data::Column& column) {
    const auto exact = data::parse_decimal(text);
    if (!exact || (field.precision != 0 &&
                   (exact->scale > field.scale || exact->whole_digits() > field.precision - field.scale))) {
        return false;
    }
    const bool plain = text.find_first_of("eE+") == std::string_view::npos && text.front() != '.';
    column.add_text(plain ? text : std::string_view(data::to_text(*exact)));
    return true;
}

bool add_timestamp(const ColumnPlan& plan, std::string_view text, data::Column& column) {
    return add_fixed(
        column,
        plan.form == Form::epoch      ? parse_epoch(text, 6)
        : plan.form == Form::epoch_ms ? parse_epoch(text, 3)
                                      : data::parse_timestamp(text)
    );
}

bool add_bytes(std::string_view text, data::Column& column) {
    const auto bytes = base64_decode(text);
    if (bytes) {
        column.add_text(*bytes);
    }
    return bytes.has_value();
}

}  // namespace

void unescape(std::string_view inside, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < inside.size();) {
        const auto plain = std::min(inside.find('\\', i), inside.size());
        out.append(inside.substr(i, plain - i));
        i = plain + 1;
        if (i >= inside.size()) {
            return;
        }
        constexpr std::string_view letters = "bfnrt";
        constexpr std::string_view meant = "\b\f\n\r\t";
        if (inside[i] == 'u') {
            i += add_unicode(inside.substr(i), out);
        } else {
            const auto which = letters.find(inside[i]);
            out += which == std::string_view::npos ? inside[i] : meant[which];
            ++i;
        }
    }
}

std::string_view scalar_text(const Token& token, std::string& scratch) {
    if (token.text.front() != '"') {
        return token.text;
    }
    const auto inside = token.text.substr(1, token.text.size() - 2);
    if (!token.escaped) {
        return inside;
    }
    unescape(inside, scratch);
    return scratch;
}

std::optional<std::int64_t> integer_of(const Token& token, std::string& scratch) {
    return parse_int(scalar_text(token, scratch));
}

bool append_value(const ColumnPlan& plan, const Token& token, data::Column& column, std::string& scratch) {
    const auto kind = plan.field.kind;
    if (kind == Kind::json) {
        if (plan.form == Form::list && token.text.front() != '[') {
            column.add_text(scratch.assign(1, '[').append(token.text).append(1, ']'));
        } else {
            column.add_padded_text(token.text);
        }
        return true;
    }
    if (token.is_nested()) {
        return false;
    }
    const auto text = scalar_text(token, scratch);
    switch (kind) {
        case Kind::boolean:
            return add_fixed(column, parse_bool(text));
        case Kind::int64:
            return add_fixed(column, parse_int(text));
        case Kind::uint64:
            return add_fixed(column, parse_uint(text));
        case Kind::float64: {
            const auto value = parse_exactly<double>(text);
            if (value) {
                column.add_float64(*value);
            }
            return value.has_value();
        }
        case Kind::decimal:
            return add_decimal(plan.field, text, column);
        case Kind::date:
            return add_fixed(column, data::parse_date(text));
        case Kind::time:
            return add_fixed(column, data::parse_time(text));
        case Kind::timestamp:
            return add_timestamp(plan, text, column);
        case Kind::bytes:
            return add_bytes(text, column);
        default:
            if (token.escaped) {  // `text` is in scratch
                column.add_text(text);
            } else {  // of a row that is UTF-8
                column.add_quotable_text(text);
            }
            return true;
    }
}

}  // namespace headrace::source::http
