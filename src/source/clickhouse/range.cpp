#include "source/clickhouse/range.hpp"

#include "source/clickhouse/request.hpp"

#include <fmt/core.h>

namespace headrace::source::clickhouse {
namespace {

using pipeline::CursorKind;
using pipeline::CursorRange;

// Columns with nine decimals are read as microseconds: the upper end takes the rest of its microsecond in.
std::string time_literal(std::string_view text, bool upper, int server_major) {
    const auto seconds = fmt::format("{} {}", text.substr(0, 10), text.substr(11, 8));
    if (server_major < 20) {
        return fmt::format("toDateTime('{}', 'UTC')", seconds);
    }
    return fmt::format("toDateTime64('{}.{}{}', 9, 'UTC')", seconds, text.substr(20, 6), upper ? "999" : "000");
}

std::string literal(CursorKind kind, std::string_view text, bool upper, int server_major) {
    switch (kind) {
        case CursorKind::integer:
            return std::string(text);
        case CursorKind::date:
            return fmt::format("toDate('{}')", text);
        case CursorKind::timestamp:
            return time_literal(text, upper, server_major);
        case CursorKind::text:
            break;
    }
    return quoted(text, '\'');
}

// Larger than everything that the type holds.
std::string open_end(CursorKind kind, int server_major) {
    switch (kind) {
        case CursorKind::integer:
            return "18446744073709551615";
        case CursorKind::date:
            return "toDate(65535)";
        case CursorKind::timestamp:
            return server_major < 20 ? "toDateTime(4294967295, 'UTC')"
                                     : "toDateTime64('2262-04-11 00:00:00', 9, 'UTC')";
        case CursorKind::text:
            break;
    }
    return R"('\xff\xff\xff\xff\xff\xff\xff\xff')";
}

}  // namespace

std::string largest_sql(std::string_view query, const CursorRange& range, int server_major) {
    const auto column = quoted(range.column, '`');
    const auto from = literal(range.kind, range.from, false, server_major);
    const auto bound = pipeline::bind_cursor(query, from, open_end(range.kind, server_major));
    return fmt::format(
        "SELECT max({0}) AS headrace_largest FROM (\n{1}\n) WHERE {0} >= {2} HAVING count() > 0", column, bound, from
    );
}

std::string range_sql(std::string_view query, const CursorRange& range, int server_major) {
    const auto from = literal(range.kind, range.from, range.behind_from, server_major);
    const auto to = literal(range.kind, range.to.value_or(range.from), true, server_major);
    if (pipeline::cursor_words(query).from) {
        return pipeline::bind_cursor(query, from, to);
    }
    return fmt::format(
        "SELECT * FROM (\n{1}\n) WHERE {0} {4} {2} AND {0} <= {3} ORDER BY {0}",
        quoted(range.column, '`'),
        query,
        from,
        to,
        range.behind_from ? ">" : ">="
    );
}

}  // namespace headrace::source::clickhouse
