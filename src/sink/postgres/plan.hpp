// How the rows of one attempt get into the table: decided once, before the first row, from the options, the columns
// that come and the table that is there. Pure.
#pragma once

#include "data/schema.hpp"
#include "sink/postgres/copy_encoder.hpp"
#include "sink/postgres/spec.hpp"
#include "sink/postgres/target.hpp"

#include <optional>
#include <string>
#include <vector>

namespace headrace::sink::postgres_sink {

enum class Landing {
    create,   // there is no table: the staging becomes it
    swap,     // replace: the staging takes the table's place
    rewrite,  // replace, where something holds on to the table: DELETE and INSERT
    append,
    merge,
};

struct PlannedColumn {
    std::string name;
    std::string sql_type;
    bool added = false;  // the table gets it now
};

struct Plan {
    Landing landing = Landing::create;
    Spec spec;
    std::optional<Target> target;
    std::vector<PlannedColumn> columns;  // those that come, in their order
    std::vector<CopyColumn> copy;        // the same, for the encoder

    // The staging is what readers will see: logged, complete with keys and privileges.
    bool is_future_table() const { return landing == Landing::create || landing == Landing::swap; }

    bool widens() const;
    std::string column_list() const;  // quoted
};

// Throws sink.invalid: a column without a usable name, a key that does not come or that the table does not have, a kind
// that does not fit, a column that must have a value and does not come.
Plan make_plan(const Spec& spec, const data::Schema& schema, std::optional<Target> target);

}  // namespace headrace::sink::postgres_sink
