#include "run/column_contract.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::run {

void check_contract(const std::vector<data::Field>& declared, const data::Schema& actual) {
    if (declared.empty()) {
        return;
    }
    for (const auto& field : declared) {
        const auto at = actual.index_of(field.name);
        if (!at) {
            throw Error(
                ErrorKind::permanent, "source.schema", fmt::format("the declared column `{}` does not come", field.name)
            );
        }
        const auto& found = actual.fields[*at];
        if (found.kind != field.kind) {
            throw Error(
                ErrorKind::permanent,
                "source.schema",
                fmt::format(
                    "column `{}` is {} and not {} as declared",
                    field.name,
                    data::to_string(found.kind),
                    data::to_string(field.kind)
                )
            );
        }
    }
    for (const auto& field : actual.fields) {
        const auto known =
            std::find_if(declared.begin(), declared.end(), [&](const data::Field& d) { return d.name == field.name; });
        if (known == declared.end()) {
            throw Error(
                ErrorKind::permanent,
                "source.schema",
                fmt::format("a column `{}` comes that is not declared", field.name)
            );
        }
    }
}

}  // namespace headrace::run
