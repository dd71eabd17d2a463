#include "sink/postgres/statements.hpp"

#include "postgres/quote.hpp"
#include "postgres/staging.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::sink::postgres_sink {
namespace {

using postgres::qualified_name;
using postgres::quote_identifier;
using postgres::quote_identifiers;
using postgres::quote_literal;

std::string staging(const std::string& table) {
    return qualified_name(postgres::staging_schema, table);
}

std::string index_name(const std::string& table, std::size_t number) {
    return fmt::format("{}_{}", table, number);
}

// A DO block in which column names win over variables.
std::string block(const std::string& body) {
    return "do " + quote_literal("#variable_conflict use_column\n" + body);
}

std::string raise(std::string_view why) {
    return fmt::format("raise exception using errcode = '40001', message = {}; ", quote_literal(why));
}

std::string list_of(const std::vector<PlannedColumn>& columns, const std::vector<std::string>& not_null) {
    std::string out;
    for (const auto& column : columns) {
        out += (out.empty() ? "" : ", ") + quote_identifier(column.name) + " " + column.sql_type;
        if (std::find(not_null.begin(), not_null.end(), column.name) != not_null.end()) {
            out += " not null";
        }
    }
    return out;
}

std::string add_columns(const Plan& plan, const std::string& table) {
    std::string out = "alter table " + table;
    bool first = true;
    for (const auto& column : plan.columns) {
        if (column.added) {
            out += fmt::format("{} add column {} {}", first ? "" : ",", quote_identifier(column.name), column.sql_type);
            first = false;
        }
    }
    return out;
}

// The same columns, defaults, checks, comments, storage parameters and privileges.
std::vector<std::string> twin_statements(const Plan& plan, const std::string& table) {
    const auto& target = *plan.target;
    std::vector<std::string> out = {fmt::format(
        "create table {} (like {} including defaults including constraints including generated including storage"
        " including compression including comments)",
        staging(table),
        plan.spec.quoted()
    )};
    if (plan.widens()) {
        out.push_back(add_columns(plan, staging(table)));
    }
    if (!target.settings.empty()) {
        std::string list;
        for (const auto& setting : target.settings) {
            list += (list.empty() ? "" : ", ") + setting;
        }
        out.push_back(fmt::format("alter table {} set ({})", staging(table), list));
    }
    if (!target.comment.empty()) {
        out.push_back(fmt::format("comment on table {} is {}", staging(table), quote_literal(target.comment)));
    }
    for (const auto& grant : target.grants) {
        out.push_back(fmt::format("grant {} on {} to {}", grant.privilege, staging(table), grant.to));
    }
    return out;
}

std::vector<std::string> index_statements(const Plan& plan, const std::string& table) {
    const auto key = quote_identifiers(plan.spec.key);
    if (plan.landing == Landing::create && !key.empty()) {
        return {fmt::format(
            "alter table {} add constraint {} primary key ({})",
            staging(table),
            quote_identifier(index_name(table, 0)),
            key
        )};
    }
    if (plan.landing == Landing::merge || (plan.landing == Landing::rewrite && !key.empty())) {
        return {fmt::format(
            "create unique index {} on {} ({})", quote_identifier(index_name(table, 0)), staging(table), key
        )};
    }
    std::vector<std::string> out;
    if (plan.landing != Landing::swap) {
        return out;
    }
    for (std::size_t i = 0; i < plan.target->indexes.size(); ++i) {
        const auto& index = plan.target->indexes[i];
        const auto name = quote_identifier(index_name(table, i));
        if (index.constraint.empty()) {
            out.push_back(fmt::format("create {}index {} on {} {}", index.unique, name, staging(table), index.rest));
        } else {
            out.push_back(fmt::format("alter table {} add constraint {} {}", staging(table), name, index.constraint));
        }
        if (!index.comment.empty()) {
            out.push_back(fmt::format(
                "comment on index {} is {}",
                qualified_name(postgres::staging_schema, index_name(table, i)),
                quote_literal(index.comment)
            ));
        }
        if (!index.constraint_comment.empty()) {
            out.push_back(fmt::format(
                "comment on constraint {} on {} is {}", name, staging(table), quote_literal(index.constraint_comment)
            ));
        }
    }
    return out;
}

std::string staging_guard(const Staged& staged) {
    const auto name = quote_literal(staging(staged.table));
    return fmt::format(
        "if to_regclass({0}) is null or pg_relation_size(to_regclass({0})) <> {1} then {2}end if; ",
        name,
        staged.size,
        raise("the staged rows are gone: Postgres was restarted or replaced in between")
    );
}

// Locks the table and sees to it that it is still the one that was planned on.
std::string target_guard(const Plan& plan, std::string_view lock) {
    const auto check = fmt::format(
        "if {} is distinct from {} then {}end if; ",
        shape_sql(plan.target->oid),
        quote_literal(plan.target->shape),
        raise(fmt::format("the table {} was changed while the rows were loaded", plan.spec.name()))
    );
    return fmt::format("{}lock table {} in {} mode; {}", check, plan.spec.quoted(), lock, check);
}

std::vector<std::string> landing_create(const Plan& plan, const Staged& staged) {
    const auto& spec = plan.spec;
    const auto primary_key = spec.table + "_pkey";
    std::vector<std::string> out = {
        block(fmt::format(
            "begin perform pg_advisory_xact_lock(hashtext('headrace: new tables')); "
            "if not exists (select from pg_namespace where nspname = {}) then create schema {}; end if; "
            "if to_regclass({}) is not null then {}end if; {}end",
            quote_literal(spec.schema),
            quote_identifier(spec.schema),
            quote_literal(spec.quoted()),
            raise(fmt::format("the table {} was made by somebody else meanwhile", spec.name())),
            staging_guard(staged)
        )),
        fmt::format("alter table {} set schema {}", staging(staged.table), quote_identifier(spec.schema)),
        fmt::format(
            "alter table {} rename to {}", qualified_name(spec.schema, staged.table), quote_identifier(spec.table)
        )};
    if (!spec.key.empty() && primary_key.size() <= postgres::name_limit) {
        out.push_back(block(fmt::format(
            "begin if to_regclass({}) is null then alter table {} rename constraint {} to {}; end if; end",
            quote_literal(qualified_name(spec.schema, primary_key)),
            spec.quoted(),
            quote_identifier(index_name(staged.table, 0)),
            quote_identifier(primary_key)
        )));
    }
    return out;
}

std::vector<std::string> landing_swap(const Plan& plan, const Staged& staged) {
    const auto& spec = plan.spec;
    std::vector<std::string> out = {
        block("begin " + staging_guard(staged) + target_guard(plan, "access exclusive") + "end"),
        fmt::format("drop table {}", spec.quoted()),
        fmt::format("alter table {} set schema {}", staging(staged.table), quote_identifier(spec.schema)),
        fmt::format(
            "alter table {} rename to {}", qualified_name(spec.schema, staged.table), quote_identifier(spec.table)
        )};
    for (std::size_t i = 0; i < plan.target->indexes.size(); ++i) {
        out.push_back(fmt::format(
            "alter index {} rename to {}",
            qualified_name(spec.schema, index_name(staged.table, i)),
            quote_identifier(plan.target->indexes[i].name)
        ));
    }
    if (!plan.target->owner.empty()) {
        out.push_back(fmt::format("alter table {} owner to {}", spec.quoted(), quote_identifier(plan.target->owner)));
    }
    return out;
}

std::string insert_statement(const Plan& plan, const std::string& table) {
    return fmt::format(
        "insert into {} ({}) select {} from {}",
        plan.spec.quoted(),
        plan.column_list(),
        plan.column_list(),
        staging(table)
    );
}

// With a key, rows that are there already stay as they are: an incremental read brings some of them again.
std::string append_statement(const Plan& plan, const std::string& table) {
    const auto key = quote_identifiers(plan.spec.key);
    return insert_statement(plan, table) +
           (key.empty() ? std::string() : fmt::format(" order by {0} on conflict ({0}) do nothing", key));
}

// What inherits from the table is not the table; what is a part of it is.
std::string itself(const Plan& plan) {
    return (plan.target->partitioned ? "" : "only ") + plan.spec.quoted();
}

// UPDATE of what differs and INSERT of what is missing, sorted by the key: three times as fast as ON CONFLICT DO
// UPDATE. It needs that nobody else writes meanwhile, see landing_insert. Rows that are the same byte for byte (*<>)
// are not written again: no dead rows, no triggers.
std::vector<std::string> merge_statements(const Plan& plan, const std::string& table) {
    std::string set;
    std::string mine;
    std::string theirs;
    std::string same_key;
    for (const auto& column : plan.columns) {
        const auto& key = plan.spec.key;
        const auto name = quote_identifier(column.name);
        if (std::find(key.begin(), key.end(), column.name) != key.end()) {
            same_key += fmt::format("{}live.{} = staged.{}", same_key.empty() ? "" : " and ", name, name);
            continue;
        }
        const char* comma = set.empty() ? "" : ", ";
        set += fmt::format("{}{} = staged.{}", comma, name, name);
        mine += fmt::format("{}live.{}", comma, name);
        theirs += fmt::format("{}staged.{}", comma, name);
    }
    std::vector<std::string> out;
    if (!set.empty()) {
        out.push_back(fmt::format(
            "update {} as live set {} from {} as staged where {} and row({})::record *<> row({})::record",
            itself(plan),
            set,
            staging(table),
            same_key,
            mine,
            theirs
        ));
    }
    out.push_back(fmt::format(
        "{} as staged where not exists (select from {} as live where {}) order by {}",
        insert_statement(plan, table),
        itself(plan),
        same_key,
        quote_identifiers(plan.spec.key)
    ));
    return out;
}

// Readers wait for nothing but a widening; a merge makes other writers wait.
std::string_view lock_for(const Plan& plan) {
    if (plan.widens()) {
        return "access exclusive";
    }
    return plan.landing == Landing::merge ? "share row exclusive" : "row exclusive";
}

// Into a table that stays: append, merge, rewrite.
std::vector<std::string> landing_insert(const Plan& plan, const Staged& staged) {
    const auto drop = "drop table " + staging(staged.table);
    std::vector<std::string> out = {
        block("begin " + staging_guard(staged) + target_guard(plan, lock_for(plan)) + "end")};
    if (plan.widens()) {
        out.push_back(add_columns(plan, plan.spec.quoted()));
    }
    if (plan.landing == Landing::rewrite) {
        out.push_back("delete from " + itself(plan));
    }
    if (staged.rows > 0 && plan.landing == Landing::merge) {
        const auto statements = merge_statements(plan, staged.table);
        out.insert(out.end(), statements.begin(), statements.end());
    } else if (staged.rows > 0) {
        out.push_back(
            plan.landing == Landing::append ? append_statement(plan, staged.table)
                                            : insert_statement(plan, staged.table)
        );
    }
    out.push_back(drop);
    return out;
}

}  // namespace

std::vector<std::string> create_statements(const Plan& plan, const std::string& table) {
    if (plan.landing == Landing::swap) {
        return twin_statements(plan, table);
    }
    if (plan.landing == Landing::create) {
        return {fmt::format("create table {} ({})", staging(table), list_of(plan.columns, plan.spec.key))};
    }
    // Logged, although nobody reads it: PostgreSQL does not start any more when it crashes right after a transaction
    // that made an unlogged table was rolled back (it finds the file that it wants to make anew).
    return {fmt::format(
        "create table {} ({}) with (autovacuum_enabled = false)", staging(table), list_of(plan.columns, {})
    )};
}

// FREEZE: the rows are visible to every snapshot, also to one that is older than the load, so that no reader sees a new
// table without its rows.
std::string copy_statement(const Plan& plan, const std::string& table) {
    return fmt::format("copy {} ({}) from stdin (format binary, freeze)", staging(table), plan.column_list());
}

std::string gather_statement(const Plan& plan, const std::string& from, const std::string& into) {
    return fmt::format(
        "insert into {} ({}) select {} from {}", staging(into), plan.column_list(), plan.column_list(), staging(from)
    );
}

std::vector<std::string> key_statements(const Plan& plan, const std::string& table) {
    auto statements = index_statements(plan, table);
    if (plan.spec.key.empty() || statements.empty()) {
        return statements;
    }
    std::string text;
    for (const auto& statement : statements) {
        text += statement + "; ";
    }
    return {block(fmt::format(
        "declare headrace_repeated bigint; begin begin {0}exception when unique_violation then "
        "delete from {1} r using (select ctid as place, row_number() over (partition by {2} order by ctid desc) as"
        " nth from {1}) d where r.ctid = d.place and d.nth > 1; "
        "get diagnostics headrace_repeated = row_count; "
        "perform set_config('headrace.repeated', headrace_repeated::text, true); {0}end; end",
        text,
        staging(table),
        quote_identifiers(plan.spec.key)
    ))};
}

std::vector<std::string> decision_statements(const Plan& plan, const Staged& staged) {
    auto statements = plan.landing == Landing::create ? landing_create(plan, staged)
                      : plan.landing == Landing::swap ? landing_swap(plan, staged)
                                                      : landing_insert(plan, staged);
    if (!staged.chunks.empty()) {
        std::string tables;
        for (const auto& chunk : staged.chunks) {
            tables += (tables.empty() ? "" : ", ") + staging(chunk);
        }
        statements.push_back("drop table if exists " + tables);
    }
    return statements;
}

}  // namespace headrace::sink::postgres_sink
