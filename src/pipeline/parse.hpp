// YAML text → Definition. Every problem of a file is reported at once, each with file, line, column and, where a word
// is close to a known one, "did you mean".
#pragma once

#include "pipeline/definition.hpp"
#include "pipeline/registry.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

struct Problem {
    Place place;
    std::string message;  // "unknown key `shedule`; did you mean `schedule`?"

    std::string text() const;  // "pipelines/x.yaml:4:3: unknown key …"
};

struct ParseResult {
    Definition definition;  // complete only when problems is empty
    std::vector<Problem> problems;

    bool ok() const { return problems.empty(); }
};

// `file` is used for messages and for the check that the stem equals `name`. Never throws for bad input.
// `defaults_yaml`: the text of _defaults.yaml beside it, or "".
ParseResult parse_definition(
    std::string_view yaml,
    std::string_view file,
    const Registry& registry,
    std::string_view defaults_yaml = ""
);

// All *.yaml of a folder (without _defaults.yaml), sorted by name; duplicates of a name are a problem.
std::vector<ParseResult> load_folder(const std::string& folder, const Registry& registry);

// JSON Schema (draft 2020-12) of a pipeline file for editors; pipelines/schema.json is this text.
std::string json_schema(const Registry& registry);

}  // namespace headrace::pipeline
