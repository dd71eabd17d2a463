// The parts of a pipeline that the registry describes (source, transform steps, checks, sinks), and the columns.
// Inside of the parser; the outside uses pipeline/parse.hpp.
#pragma once

#include "pipeline/reader.hpp"
#include "pipeline/registry.hpp"

#include <string_view>
#include <vector>

namespace headrace::pipeline {

// What the parser needs of a SourceType, SinkType, TransformType or CheckType.
struct PartType {
    std::string_view name;
    const std::vector<OptionSpec>* options = nullptr;
    bool needs_credential = false;
};

std::vector<PartType> source_types(const Registry& registry);
std::vector<PartType> sink_types(const Registry& registry);
std::vector<PartType> transform_types(const Registry& registry);
std::vector<PartType> check_types(const Registry& registry);

class PartReader {
public:
    // `pipeline` fills `<pipeline>` in default values.
    PartReader(Problems& problems, std::string pipeline) : problems_(problems), pipeline_(std::move(pipeline)) {}

    // A map with `type:`, `credential:` and the type's options.
    Part connector(const yaml::Node& node, std::string_view what, const std::vector<PartType>& types);
    // One step of `transform:` or `checks:`: a word, or one key with its value. The value belongs to the first option
    // of the type unless it is a map of options.
    Part step(const yaml::Node& node, std::string_view what, const std::vector<PartType>& types);
    Part step(const yaml::Entry& entry, std::string_view what, const std::vector<PartType>& types);

private:
    void option(const yaml::Node& node, const std::string& what, const OptionSpec& spec, Options& out);
    void text_map(const yaml::Node& node, const std::string& what, const OptionSpec& spec, Options& out);
    void options_of_map(const yaml::Node& map, const std::string& what, const PartType& type, Options& out);
    // Adds default values and reports what is missing.
    void complete(const PartType& type, const std::string& what, yaml::Mark mark, Options& out);
    void add_default(const OptionSpec& spec, Options& out);
    const PartType* type_named(const yaml::Node& node, std::string_view what, const std::vector<PartType>& types);

    Problems& problems_;
    std::string pipeline_;
    bool headers_ = false;  // the map entries now read are sent somewhere: their names may betray a secret
};

// `columns:` name → "int64!", "decimal(12,2)", "string?".
std::vector<data::Field> read_columns(Problems& problems, const yaml::Node& node);

// The type words of `columns:`, for messages and the JSON Schema.
std::vector<std::string_view> column_types();

}  // namespace headrace::pipeline
