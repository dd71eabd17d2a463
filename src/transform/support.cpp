#include "transform/support.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

namespace headrace::transform {

void invalid(const pipeline::Place& place, std::string message) {
    throw Error(
        ErrorKind::invalid,
        "pipeline.invalid",
        place.file.empty() ? std::move(message)
                           : fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, message)
    );
}

std::size_t column_index(const data::Schema& schema, std::string_view name, const pipeline::Place& place) {
    if (const auto index = schema.index_of(name)) {
        return *index;
    }
    std::string known;
    for (const auto& field : schema.fields) {
        known += (known.empty() ? "" : ", ") + field.name;
    }
    invalid(place, fmt::format("there is no column `{}` at this step; the columns are {}", name, known));
}

std::vector<std::pair<std::string, std::string>> pairs_of(const pipeline::Options& options, std::string_view name) {
    std::vector<std::pair<std::string, std::string>> out;
    const auto list = options.get_list(name);
    for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
        out.emplace_back(list[i], list[i + 1]);
    }
    return out;
}

}  // namespace headrace::transform
