// The columns that a pipeline declares for rows of JSON: "int64!", "string /contact/email", "list /tags".
#pragma once

#include "data/schema.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::source::http {

// One step of the way from the row to a value.
struct Step {
    std::string name;  // of a member; digits are also the place in a list
    std::optional<std::size_t> index;
    std::string key, value;  // [key=value]: the first element of a list whose member `key` is `value`

    bool selects() const { return !key.empty(); }

    bool operator==(const Step&) const = default;
};

enum class Form {
    plain,
    list,      // JSON text of a list
    epoch,     // a timestamp as seconds since 1970
    epoch_ms,  // as milliseconds
};

struct ColumnPlan {
    data::Field field;
    Form form = Form::plain;
    std::vector<Step> path;  // empty: the row itself
};

using Columns = std::vector<ColumnPlan>;

// A JSON pointer (RFC 6901) with [key=value] as a further kind of step; "" is the whole document. nullopt: no pointer.
std::optional<std::vector<Step>> parse_path(std::string_view text);

// `text` is a type, then perhaps a pointer; without one the member called as the column. Types are those of
// data::parse_type, and `list`, `epoch`, `epoch_ms`. nullopt: not understood.
std::optional<ColumnPlan> parse_column(std::string_view name, std::string_view text);

data::Schema schema_of(const Columns& columns);

}  // namespace headrace::source::http
