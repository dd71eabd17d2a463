#include "base/encoding.hpp"
#include "postgres/connection.hpp"

#include <fmt/core.h>
#include <libpq-fe.h>

namespace headrace::postgres {

Param Param::bytes(std::string_view raw) {
    return Param("\\x" + hex_encode(raw));
}

Param Param::array(const std::vector<std::string>& items) {
    std::string out = "{";
    for (const auto& item : items) {
        out += out.size() > 1 ? ",\"" : "\"";
        for (const char c : item) {
            if (c == '"' || c == '\\') {
                out += '\\';
            }
            out += c;
        }
        out += '"';
    }
    return Param(out + "}");
}

Result::Result(void* pg_result) : result_(pg_result, [](void* raw) { PQclear(static_cast<PGresult*>(raw)); }) {}

int Result::column_number(std::string_view column) const {
    const int number = PQfnumber(static_cast<PGresult*>(result_.get()), std::string(column).c_str());
    if (number < 0) {
        throw Error(ErrorKind::bug, "internal.bug", fmt::format("no column {} in the result", column));
    }
    return number;
}

std::size_t Result::rows() const {
    return static_cast<std::size_t>(PQntuples(static_cast<PGresult*>(result_.get())));
}

std::uint64_t Result::affected() const {
    return std::strtoull(PQcmdTuples(static_cast<PGresult*>(result_.get())), nullptr, 10);
}

bool Result::is_null(std::size_t row, std::string_view column) const {
    return PQgetisnull(static_cast<PGresult*>(result_.get()), static_cast<int>(row), column_number(column)) != 0;
}

std::string_view Result::text(std::size_t row, std::string_view column) const {
    auto* raw = static_cast<PGresult*>(result_.get());
    const int number = column_number(column);
    return {
        PQgetvalue(raw, static_cast<int>(row), number),
        static_cast<std::size_t>(PQgetlength(raw, static_cast<int>(row), number))};
}

std::optional<std::string> Result::optional(std::size_t row, std::string_view column) const {
    return is_null(row, column) ? std::nullopt : std::make_optional(std::string(text(row, column)));
}

std::int64_t Result::integer(std::size_t row, std::string_view column) const {
    return std::strtoll(std::string(text(row, column)).c_str(), nullptr, 10);
}

bool Result::boolean(std::size_t row, std::string_view column) const {
    return text(row, column) == "t";
}

std::optional<Timestamp> Result::time(std::size_t row, std::string_view column) const {
    return is_null(row, column) ? std::nullopt : parse_rfc3339(text(row, column));
}

std::string Result::bytes(std::size_t row, std::string_view column) const {
    const auto value = text(row, column);
    if (value.substr(0, 2) != "\\x") {
        return {};
    }
    return hex_decode(value.substr(2)).value_or("");
}

std::vector<std::string> Result::array(std::size_t row, std::string_view column) const {
    std::vector<std::string> out;
    const auto value = text(row, column);
    std::string item;
    bool quoted = false;
    bool any = false;
    for (std::size_t i = 1; i + 1 <= value.size(); ++i) {
        const char c = value[i];
        if (quoted && c == '\\') {
            item += value[++i];
        } else if (c == '"') {
            quoted = !quoted;
            any = true;
        } else if (!quoted && (c == ',' || c == '}')) {
            if (any || !item.empty()) {
                out.push_back(std::move(item));
            }
            item.clear();
            any = false;
        } else {
            item += c;
        }
    }
    return out;
}

}  // namespace headrace::postgres
