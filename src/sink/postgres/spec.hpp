// The options of a postgres sink, checked.
#pragma once

#include "pipeline/definition.hpp"

#include <string>
#include <vector>

namespace headrace::sink::postgres_sink {

enum class Mode { append, merge, replace };

struct Spec {
    std::string schema;  // "public" unless the file names one
    std::string table;
    Mode mode = Mode::replace;
    std::vector<std::string> key;  // columns that tell rows apart; may be empty but for merge

    std::string name() const { return schema + "." + table; }  // for people

    std::string quoted() const;  // for SQL
};

// Throws pipeline.invalid: the form of `table`, names that are not for outputs, a key that is missing or too much.
Spec read_spec(const pipeline::Part& part);

}  // namespace headrace::sink::postgres_sink
