#include "sink/postgres/plan.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "postgres/quote.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace headrace::sink::postgres_sink {
namespace {

using postgres::quote_identifier;

Error misfit(std::string message, std::string hint) {
    return std::move(Error(ErrorKind::permanent, "sink.invalid", std::move(message)).with_hint(std::move(hint)));
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) {
        out += (out.empty() ? "" : ", ") + word;
    }
    return out;
}

void check_names(const data::Schema& schema) {
    std::set<std::string_view> seen;
    for (const auto& field : schema.fields) {
        const auto& name = field.name;
        if (name.empty() || name.size() > postgres::name_limit || name.find('\0') != std::string::npos ||
            !is_utf8(name)) {
            throw misfit(
                fmt::format("column `{}`: Postgres takes names of 1 to {} bytes", name, postgres::name_limit),
                "Give it another name: `transform: [rename: {old: new}]`, or AS in the query."
            );
        }
        if (!seen.insert(name).second) {
            throw misfit(fmt::format("two columns are called `{}`", name), "Rename one of them in the query.");
        }
    }
}

void check_key(const Spec& spec, const data::Schema& schema) {
    for (const auto& name : spec.key) {
        if (!schema.index_of(name)) {
            std::vector<std::string> known;
            for (const auto& field : schema.fields) {
                known.push_back(field.name);
            }
            throw misfit(
                fmt::format("key: there is no column `{}`; the columns are {}", name, joined(known)),
                "Correct `key:` of the sink."
            );
        }
    }
}

bool has_unique_index(const Target& target, const std::vector<std::string>& key) {
    const std::set<std::string> wanted(key.begin(), key.end());
    return std::any_of(target.indexes.begin(), target.indexes.end(), [&](const TargetIndex& index) {
        return !index.columns.empty() && std::set<std::string>(index.columns.begin(), index.columns.end()) == wanted;
    });
}

void check_table_key(const Spec& spec, const Target& target) {
    if (!spec.key.empty() && !has_unique_index(target, spec.key)) {
        const auto columns = postgres::quote_identifiers(spec.key);
        throw misfit(
            fmt::format("the table {} has no unique index on exactly ({})", spec.name(), columns),
            fmt::format("CREATE UNIQUE INDEX ON {} ({}), or change `key:`.", spec.quoted(), columns)
        );
    }
}

// A column of the table that the rows do not fill must be able to do without.
void check_absent(const Spec& spec, const data::Schema& schema, const Target& target) {
    for (const auto& column : target.columns) {
        if (column.not_null && !column.has_default && !column.generated && !schema.index_of(column.name)) {
            throw misfit(
                fmt::format(
                    "the column `{}` of {} is NOT NULL, has no default and does not come", column.name, spec.name()
                ),
                fmt::format(
                    "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL, or let the query give the column.",
                    spec.quoted(),
                    quote_identifier(column.name)
                )
            );
        }
    }
}

Landing landing_of(const Spec& spec, const std::optional<Target>& target) {
    if (!target) {
        return Landing::create;
    }
    if (spec.mode == Mode::append) {
        return Landing::append;
    }
    if (spec.mode == Mode::merge) {
        return Landing::merge;
    }
    if (target->obstacles.empty()) {
        return Landing::swap;
    }
    if (!target->cascades.empty()) {
        throw misfit(
            fmt::format("replacing {} would change other tables too: {}", spec.name(), joined(target->cascades)),
            "Use `mode: merge`, or take ON DELETE CASCADE, SET NULL and SET DEFAULT away from these foreign keys."
        );
    }
    return Landing::rewrite;
}

void add_new(const Spec& spec, const data::Field& field, bool added, Plan& plan) {
    const bool in_key = std::find(spec.key.begin(), spec.key.end(), field.name) != spec.key.end();
    const auto type = type_for(field);
    plan.columns.push_back({field.name, sql_type(field), added});
    plan.copy.push_back(
        {.name = field.name,
         .wire = wire_for(field, type).value_or(Wire::text),
         .limits = type.base == "numeric" ? numeric_limits(type) : std::nullopt,
         .never_null = in_key}
    );
}

void add_known(const Spec& spec, const data::Field& field, const TargetColumn& column, Plan& plan) {
    const auto wire = column.generated ? std::nullopt : wire_for(field, column.type);
    if (!wire) {
        throw misfit(
            fmt::format(
                "column `{}` is {} and does not fit {}.{}, which is {}{}",
                field.name,
                data::type_text(field),
                spec.name(),
                column.name,
                column.generated ? "generated as " : "",
                column.sql_type
            ),
            column.generated
                ? "Leave the column out with `transform: [drop: [column]]`; Postgres computes it."
                : fmt::format(
                      "ALTER TABLE {} ALTER COLUMN {} TYPE {}, or change the column with `transform: [cast: …]`.",
                      spec.quoted(),
                      quote_identifier(column.name),
                      sql_type(field)
                  )
        );
    }
    const bool in_key = std::find(spec.key.begin(), spec.key.end(), field.name) != spec.key.end();
    plan.columns.push_back({field.name, column.sql_type, false});
    plan.copy.push_back(
        {.name = field.name,
         .wire = *wire,
         .limits = column.type.base == "numeric" ? numeric_limits(column.type) : std::nullopt,
         .never_null = in_key || column.not_null}
    );
}

}  // namespace

bool Plan::widens() const {
    return std::any_of(columns.begin(), columns.end(), [](const PlannedColumn& column) { return column.added; });
}

std::string Plan::column_list() const {
    std::vector<std::string> names;
    for (const auto& column : columns) {
        names.push_back(column.name);
    }
    return postgres::quote_identifiers(names);
}

Plan make_plan(const Spec& spec, const data::Schema& schema, std::optional<Target> target) {
    check_names(schema);
    check_key(spec, schema);
    if (target) {
        check_table_key(spec, *target);
        check_absent(spec, schema, *target);
    }
    Plan plan;
    plan.landing = landing_of(spec, target);
    plan.spec = spec;
    for (const auto& field : schema.fields) {
        const auto* known = target ? target->find(field.name) : nullptr;
        if (known != nullptr) {
            add_known(spec, field, *known, plan);
        } else {
            add_new(spec, field, target.has_value(), plan);
        }
    }
    plan.target = std::move(target);
    return plan;
}

}  // namespace headrace::sink::postgres_sink
