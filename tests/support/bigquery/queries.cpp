// The little SQL that the simulator understands:
//   SELECT * | columns FROM [[project.]dataset.]table [WHERE c >= @a AND c <= @b] [ORDER BY c] [LIMIT n]
// and what the connector puts around a query for an incremental read. Like the real service it compares only values of
// one type, and knows no parameter that was not sent.
#include "data/time_text.hpp"
#include "support/bigquery/simulator_parts.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <regex>
#include <variant>

namespace headrace::support::bigquery {
namespace {

constexpr std::string_view not_understood =
    "The simulator knows only SELECT columns FROM table [WHERE c >= @a AND c <= @b] [ORDER BY c] [LIMIT n]";

using Value = std::variant<std::int64_t, std::string>;

std::string_view declared_type(std::string_view column_type) {
    return column_type == "INTEGER" ? "INT64" : column_type;
}

// The text as the table has it in JSON, or as a parameter brings it; TIMESTAMP columns hold microseconds.
std::optional<Value> parse_value(std::string_view type, const std::string& text) {
    std::int64_t number = 0;
    if (const auto end = text.data() + text.size(); std::from_chars(text.data(), end, number).ptr == end) {
        if (type == "INT64" || type == "TIMESTAMP") {
            return number;
        }
    }
    if (type == "STRING") {
        return text;
    }
    const auto time = type == "DATE"        ? data::parse_date(text)
                      : type == "TIMESTAMP" ? data::parse_timestamp(text)
                                            : std::nullopt;
    return time ? std::make_optional<Value>(*time) : std::nullopt;
}

std::optional<Value> value_at(const Column& column, std::uint64_t row) {
    std::string text;
    column.value(text, row);
    const auto json = boost::json::parse(text);
    return json.is_string() ? parse_value(declared_type(column.type), std::string(json.as_string())) : std::nullopt;
}

const Column* find_column(const Table& table, const std::string& name, std::string& why) {
    for (const auto& column : table.columns) {
        if (column.name == name) {
            return &column;
        }
    }
    why = "Unrecognized name: " + name;
    return nullptr;
}

std::optional<Value>
parameter(const Asked& asked, const std::string& name, const Column& column, std::string_view sign, std::string& why) {
    const auto found = asked.parameters.find(name);
    if (found == asked.parameters.end()) {
        why = fmt::format("Query parameter '{}' not found", name);
        return std::nullopt;
    }
    const auto& [type, text] = found->second;
    if (type != declared_type(column.type)) {
        why = fmt::format(
            "No matching signature for operator {} for argument types: {}, {}", sign, declared_type(column.type), type
        );
        return std::nullopt;
    }
    auto value = parse_value(type, text);
    if (!value) {
        why = fmt::format("Invalid value for {} parameter {}: '{}'", type, name, text);
    }
    return value;
}

std::vector<std::uint64_t> rows_of(std::uint64_t rows, const std::vector<std::uint64_t>& order) {
    std::vector<std::uint64_t> out = order;
    for (std::uint64_t row = 0; order.empty() && row < rows; ++row) {
        out.push_back(row);
    }
    return out;
}

struct Bound {
    std::string column;
    std::string sign;
    std::string parameter;
};

template <class View>
bool keep_within(View& view, const Asked& asked, const std::vector<Bound>& bounds, std::string& why) {
    auto rows = rows_of(view.rows, view.order);
    for (const auto& bound : bounds) {
        const auto* column = find_column(*view.table, bound.column, why);
        const auto limit = column ? parameter(asked, bound.parameter, *column, bound.sign, why) : std::nullopt;
        if (!limit) {
            return false;
        }
        std::erase_if(rows, [&](std::uint64_t row) {
            const auto value = value_at(*column, row);
            return !value || (bound.sign == ">=" ? *value < *limit : *value > *limit);
        });
    }
    view.rows = rows.size();
    view.order = std::move(rows);
    return true;
}

template <class View>
bool sort_by(View& view, const std::string& name, std::string& why) {
    const auto* column = find_column(*view.table, name, why);
    if (column == nullptr) {
        return false;
    }
    auto rows = rows_of(view.rows, view.order);
    std::stable_sort(rows.begin(), rows.end(), [&](std::uint64_t a, std::uint64_t b) {
        return value_at(*column, a) < value_at(*column, b);
    });
    view.order = std::move(rows);
    return true;
}

// One row: the largest value.
template <class View>
bool take_largest(View& view, const std::string& name, const std::string& title, std::string& why) {
    const auto* column = find_column(*view.table, name, why);
    if (column == nullptr) {
        return false;
    }
    std::optional<Value> most;
    std::string text = "null";
    for (const auto row : rows_of(view.rows, view.order)) {
        if (auto value = value_at(*column, row); value && (!most || *most < *value)) {
            most = std::move(value);
            text.clear();
            column->value(text, row);
        }
    }
    Table answer{
        "", 1, {{title, column->type, "NULLABLE", "", [text](std::string& out, std::uint64_t) { out += text; }}}};
    view.table = std::make_shared<const Table>(std::move(answer));
    view.columns = {0};
    view.rows = 1;
    view.order.clear();
    return true;
}

std::string plain_name(std::string text) {
    std::erase(text, '`');
    return text;
}

}  // namespace

std::shared_ptr<Simulator::View> Simulator::select(const Asked& asked, const std::string& query, std::string& why) {
    static const std::regex largest(R"(^SELECT MAX\((`\w+`)\) AS (\w+) FROM \(\n([^]*)\n\) WHERE (`\w+`) >= @(\w+)$)");
    static const std::regex wrapped(
        R"(^SELECT \* FROM \(\n([^]*)\n\) WHERE (`\w+`) >= @(\w+) AND (`\w+`) <= @(\w+) ORDER BY (`\w+`)$)"
    );
    static const std::regex shape(
        R"(^\s*SELECT\s+(\*|[\w\s,]+?)\s+FROM\s+`?([\w.\-]+)`?(?:\s+WHERE\s+(\w+)\s*>=\s*@(\w+)\s+AND\s+(\w+)\s*<=\s*@(\w+))?(?:\s+ORDER\s+BY\s+(\w+))?(?:\s+LIMIT\s+(\d+))?\s*$)",
        std::regex::icase
    );
    std::smatch found;
    if (query == "SELECT 1") {
        auto view = std::make_shared<View>();
        Table one{"", 1, {{"f0_", "INTEGER", "NULLABLE", "", [](std::string& out, std::uint64_t) { out += "\"1\""; }}}};
        view->table = std::make_shared<const Table>(std::move(one));
        view->columns = {0};
        view->rows = 1;
        return view;
    }
    if (std::regex_match(query, found, largest)) {
        auto view = select(asked, found[3], why);
        const bool good = view && keep_within(*view, asked, {{plain_name(found[4]), ">=", found[5]}}, why) &&
                          take_largest(*view, plain_name(found[1]), found[2], why);
        return good ? view : nullptr;
    }
    if (std::regex_match(query, found, wrapped)) {
        auto view = select(asked, found[1], why);
        const bool good =
            view &&
            keep_within(
                *view, asked, {{plain_name(found[2]), ">=", found[3]}, {plain_name(found[4]), "<=", found[5]}}, why
            ) &&
            sort_by(*view, plain_name(found[6]), why);
        return good ? view : nullptr;
    }
    if (!std::regex_match(query, found, shape)) {
        why = not_understood;
        return nullptr;
    }
    auto name = found[2].str();
    const auto dots = std::count(name.begin(), name.end(), '.');
    name = dots == 0 ? asked.dataset + "." + name : dots == 1 ? options_.project + "." + name : name;
    auto view = std::make_shared<View>();
    {
        const std::lock_guard lock(mutex_);
        const auto table = tables_.find(name);
        if (table == tables_.end()) {
            why = "Not found: Table " + name;
            return nullptr;
        }
        view->table = table->second;
    }
    view->rows = view->table->rows;
    const auto& columns = view->table->columns;
    const std::string wanted = found[1].str();
    for (std::size_t i = 0; wanted == "*" && i < columns.size(); ++i) {
        view->columns.push_back(i);
    }
    static const std::regex word(R"(\w+)");
    for (std::sregex_iterator it(wanted.begin(), wanted.end(), word), end; wanted != "*" && it != end; ++it) {
        const auto* column = find_column(*view->table, it->str(), why);
        if (column == nullptr) {
            return nullptr;
        }
        view->columns.push_back(static_cast<std::size_t>(column - columns.data()));
    }
    if (found[3].matched && !keep_within(*view, asked, {{found[3], ">=", found[4]}, {found[5], "<=", found[6]}}, why)) {
        return nullptr;
    }
    if (found[7].matched && !sort_by(*view, found[7], why)) {
        return nullptr;
    }
    if (found[8].matched) {
        view->rows = std::min<std::uint64_t>(view->rows, std::stoull(found[8].str()));
    }
    return view;
}

std::shared_ptr<const Simulator::View> Simulator::view_of(const Asked& asked, std::string& why) {
    auto key = asked.dataset + "\n" + asked.query;
    for (const auto& [name, typed] : asked.parameters) {
        key += "\n" + name + " " + typed.first + " " + typed.second;
    }
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = views_.find(key); it != views_.end()) {
            return it->second;
        }
    }
    auto view = select(asked, asked.query, why);
    if (!view) {
        return nullptr;
    }
    view->key = key;
    for (const auto i : view->columns) {
        view->schema += (view->schema.empty() ? "" : ",") + field_json(view->table->columns[i]);
    }
    view->schema = "[" + view->schema + "]";
    const std::lock_guard lock(mutex_);
    return views_[key] = view;
}

}  // namespace headrace::support::bigquery
