#include "pipeline/incremental.hpp"

#include "base/error.hpp"
#include "data/number_text.hpp"
#include "data/time_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

namespace headrace::pipeline {
namespace {

constexpr std::string_view kind_words[] = {"integer", "date", "timestamp", "text"};
constexpr std::size_t longest_text = 1024;  // bytes; a cursor is stored and shown
constexpr std::int64_t second = 1'000'000;

// int64 and uint64 in one: digits without leading zeros, "-" before them.
bool is_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    const auto digits = text.substr(negative ? 1 : 0);
    if (digits.empty() || digits.size() > 20 ||
        !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        return false;
    }
    std::int64_t as_signed = 0;
    std::uint64_t as_unsigned = 0;
    const auto* end = text.data() + text.size();
    return negative ? std::from_chars(text.data(), end, as_signed).ec == std::errc()
                    : std::from_chars(text.data(), end, as_unsigned).ec == std::errc();
}

std::string plain_integer(std::string_view text) {
    const bool negative = text.starts_with('-');
    auto digits = text.substr(negative ? 1 : 0);
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
    return (negative && digits != "0" ? "-" : "") + std::string(digits);
}

std::string date_text(std::int64_t days) {
    char out[data::time_text_max];
    return {out, data::write_date(out, days)};
}

// Six decimals, so that texts of one length compare as the times do.
std::string timestamp_text(std::int64_t microseconds) {
    auto seconds = microseconds / second;
    auto rest = microseconds % second;
    if (rest < 0) {
        --seconds;
        rest += second;
    }
    char out[data::time_text_max];
    std::string text(out, data::write_timestamp(out, seconds * second));
    return fmt::format("{}.{:06}Z", text.substr(0, text.find_first_of(".Z")), rest);
}

// A number per value, which compares as the values do.
std::int64_t number_of(CursorKind kind, std::string_view text) {
    return kind == CursorKind::date ? data::parse_date(text).value_or(0) : data::parse_timestamp(text).value_or(0);
}

int compare_integers(std::string_view a, std::string_view b) {
    const bool minus_a = a.starts_with('-');
    const bool minus_b = b.starts_with('-');
    if (minus_a != minus_b) {
        return minus_a ? -1 : 1;
    }
    const int order = a.size() != b.size() ? (a.size() < b.size() ? -1 : 1) : a.compare(b);
    return minus_a ? -order : order;
}

std::string integer_minus(const std::string& value, std::int64_t lag) {
    std::uint64_t large = 0;
    const auto* end = value.data() + value.size();
    if (std::from_chars(value.data(), end, large).ec == std::errc()) {  // not negative
        const auto less = static_cast<std::uint64_t>(lag);
        return large >= less ? std::to_string(large - less) : std::to_string(-static_cast<std::int64_t>(less - large));
    }
    std::int64_t small = 0;
    std::from_chars(value.data(), end, small);
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    return std::to_string(small < least + lag ? least : small - lag);
}

// The end of what begins at `at` and is not plain SQL: a string, a quoted name, a comment; `at` when it is plain.
std::size_t skip_quoted(std::string_view sql, std::size_t at) {
    const char c = sql[at];
    if (c == '\'' || c == '"' || c == '`') {
        for (std::size_t i = at + 1; i < sql.size(); ++i) {
            if (sql[i] == '\\') {
                ++i;
            } else if (sql[i] == c) {
                return i + 1;
            }
        }
        return sql.size();
    }
    if (sql.substr(at).starts_with("--") || c == '#') {
        return std::min(sql.find('\n', at), sql.size());
    }
    if (sql.substr(at).starts_with("/*")) {
        const auto end = sql.find("*/", at + 2);
        return end == std::string_view::npos ? sql.size() : end + 2;
    }
    return at;
}

bool is_name_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Calls take(from, to, word) for pieces of the SQL; word is cursor_from_word, cursor_to_word or "" for what stays.
template <class Take>
void each_piece(std::string_view sql, Take take) {
    std::size_t begin = 0;
    for (std::size_t i = 0; i < sql.size();) {
        if (const auto end = skip_quoted(sql, i); end > i) {
            i = end;
            continue;
        }
        std::string_view hit;
        for (const auto word : {cursor_from_word, cursor_to_word}) {
            if (sql.substr(i).starts_with(word) &&
                (i + word.size() == sql.size() || !is_name_char(sql[i + word.size()]))) {
                hit = word;
            }
        }
        if (hit.empty()) {
            ++i;
            continue;
        }
        take(sql.substr(begin, i - begin), std::string_view());
        take(sql.substr(i, hit.size()), hit);
        i += hit.size();
        begin = i;
    }
    take(sql.substr(begin), std::string_view());
}

}  // namespace

std::string_view to_string(CursorKind kind) {
    return kind_words[static_cast<std::size_t>(kind)];
}

std::optional<CursorKind> parse_cursor_kind(std::string_view word) {
    const auto* at = std::find(std::begin(kind_words), std::end(kind_words), word);
    return at == std::end(kind_words) ? std::nullopt
                                      : std::make_optional(static_cast<CursorKind>(at - std::begin(kind_words)));
}

std::optional<CursorKind> cursor_kind_of(data::Kind kind) {
    switch (kind) {
        case data::Kind::int64:
        case data::Kind::uint64:
            return CursorKind::integer;
        case data::Kind::date:
            return CursorKind::date;
        case data::Kind::timestamp:
            return CursorKind::timestamp;
        case data::Kind::string:
            return CursorKind::text;
        default:
            return std::nullopt;
    }
}

std::optional<std::string> canonical_cursor(CursorKind kind, std::string_view text) {
    switch (kind) {
        case CursorKind::integer:
            return is_integer(text) ? std::make_optional(plain_integer(text)) : std::nullopt;
        case CursorKind::date: {
            const auto days = data::parse_date(text);
            return days ? std::make_optional(date_text(*days)) : std::nullopt;
        }
        case CursorKind::timestamp: {
            const auto time = data::parse_timestamp(text);
            return time ? std::make_optional(timestamp_text(*time)) : std::nullopt;
        }
        case CursorKind::text:
            return text.size() <= longest_text ? std::make_optional(std::string(text)) : std::nullopt;
    }
    return std::nullopt;
}

CursorKind guess_cursor_kind(std::string_view text) {
    for (const auto kind : {CursorKind::integer, CursorKind::date, CursorKind::timestamp}) {
        if (canonical_cursor(kind, text)) {
            return kind;
        }
    }
    return CursorKind::text;
}

int compare_cursors(CursorKind kind, std::string_view a, std::string_view b) {
    if (kind == CursorKind::text) {
        return a.compare(b);
    }
    if (kind == CursorKind::integer) {
        return compare_integers(a, b);
    }
    const auto left = number_of(kind, a);
    const auto right = number_of(kind, b);
    return left < right ? -1 : (left > right ? 1 : 0);
}

std::string cursor_minus(CursorKind kind, const std::string& value, std::int64_t lag) {
    switch (kind) {
        case CursorKind::integer:
            return integer_minus(value, lag);
        case CursorKind::date:
            return date_text(number_of(kind, value) - lag);
        case CursorKind::timestamp:
            return timestamp_text(number_of(kind, value) - lag);
        case CursorKind::text:
            break;
    }
    return value;
}

std::string cursor_value(const data::Column& column, std::size_t row) {
    char out[data::integer_text_max];
    switch (column.kind()) {
        case data::Kind::int64:
            return {out, data::write_int(out, column.int64(row))};
        case data::Kind::uint64:
            return {out, data::write_uint(out, column.uint64(row))};
        case data::Kind::date:
            return date_text(column.int64(row));
        case data::Kind::timestamp:
            return timestamp_text(column.int64(row));
        default:
            return std::string(column.text(row));
    }
}

std::size_t begin_of_last_value(const data::Column& column) {
    const auto last = column.size() - 1;
    const auto is_last = [&](std::size_t row) {
        if (column.is_null(row) || column.is_null(last)) {
            return false;
        }
        switch (column.kind()) {
            case data::Kind::string:
                return column.text(row) == column.text(last);
            case data::Kind::uint64:
                return column.uint64(row) == column.uint64(last);
            default:
                return column.int64(row) == column.int64(last);
        }
    };
    auto row = last;
    while (row > 0 && is_last(row - 1)) {
        --row;
    }
    return row;
}

CursorWords cursor_words(std::string_view sql) {
    CursorWords out;
    each_piece(sql, [&](std::string_view, std::string_view word) {
        out.from = out.from || word == cursor_from_word;
        out.to = out.to || word == cursor_to_word;
    });
    return out;
}

std::string bind_cursor(std::string_view sql, std::string_view from_literal, std::string_view to_literal) {
    std::string out;
    each_piece(sql, [&](std::string_view piece, std::string_view word) {
        out += word.empty() ? piece : (word == cursor_from_word ? from_literal : to_literal);
    });
    return out;
}

void CursorTracker::see(const data::Column& column, std::uint64_t first_row) {
    if (column.size() == 0) {
        return;
    }
    std::size_t least = 0;
    std::size_t most = 0;
    const bool is_unsigned = column.kind() == data::Kind::uint64;
    const bool is_text = column.kind() == data::Kind::string;
    for (std::size_t row = 0; row < column.size(); ++row) {
        if (column.is_null(row)) {
            throw Error(
                ErrorKind::permanent,
                "source.cursor",
                fmt::format("row {}: the cursor column `{}` is null", first_row + row + 1, range_.column)
            )
                .with_hint("Leave such rows out in the query, or give them a value there: coalesce(…).");
        }
        const auto is_less = [&](std::size_t a, std::size_t b) {
            if (is_text) {
                return column.text(a) < column.text(b);
            }
            return is_unsigned ? column.uint64(a) < column.uint64(b) : column.int64(a) < column.int64(b);
        };
        least = is_less(row, least) ? row : least;
        most = is_less(most, row) ? row : most;
    }
    const auto low = cursor_value(column, least);
    auto high = cursor_value(column, most);
    const bool below = compare_cursors(range_.kind, low, range_.from) < (range_.behind_from ? 1 : 0);
    if (below || (range_.to && compare_cursors(range_.kind, high, *range_.to) > 0)) {
        throw Error(
            ErrorKind::permanent,
            "source.cursor",
            fmt::format(
                "row {}: `{}` is {}, outside of what was asked for, {} to {}",
                first_row + (below ? least : most) + 1,
                range_.column,
                below ? low : high,
                range_.from,
                range_.to.value_or("the end")
            )
        )
            .with_hint(
                "The query compares with `>= @cursor_from` and `<= @cursor_to`; without these words headrace "
                "adds the comparison itself."
            );
    }
    if (largest_.empty() || compare_cursors(range_.kind, high, largest_) > 0) {
        largest_ = std::move(high);
    }
}

}  // namespace headrace::pipeline
