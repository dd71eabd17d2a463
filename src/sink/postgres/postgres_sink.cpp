#include "sink/postgres/postgres_sink.hpp"

#include "base/error.hpp"
#include "base/killpoint.hpp"
#include "postgres/quote.hpp"
#include "postgres/staging.hpp"
#include "sink/postgres/copy_encoder.hpp"
#include "sink/postgres/plan.hpp"
#include "sink/postgres/statements.hpp"

#include <fmt/core.h>

#include <atomic>

namespace headrace::sink::postgres_sink {
namespace {

using pipeline::Definition;
using pipeline::Manifest;
using pipeline::Part;
using postgres::Connection;
using std::chrono::milliseconds;

constexpr milliseconds longest_statement = std::chrono::hours(24 * 7);  // the run's own deadline comes first

// The schema is made once; two first runs at the same time wait for each other.
void make_staging_schema(Connection& db) {
    constexpr std::string_view look =
        "select exists (select from pg_namespace where nspname = $1) as there,"
        " has_database_privilege(current_database(), 'CREATE') as allowed";
    const auto found = db.exec(look, {postgres::staging_schema});
    if (found.boolean(0, "there")) {
        return;
    }
    if (!found.boolean(0, "allowed")) {
        throw Error(
            ErrorKind::permanent,
            "sink.invalid",
            fmt::format("the schema {} for loads is not there, and our role may not make it", postgres::staging_schema)
        )
            .with_hint(fmt::format(
                "As the database's owner: CREATE SCHEMA {} AUTHORIZATION <the role of DATABASE_URL>.",
                postgres::staging_schema
            ));
    }
    db.transaction([&](Connection& c) {
        c.exec("select pg_advisory_xact_lock(hashtext('headrace: staging schema'))");
        c.exec("create schema if not exists " + postgres::quote_identifier(postgres::staging_schema));
    });
}

class PostgresSink : public pipeline::Sink {
public:
    PostgresSink(postgres::ConnectOptions options, Spec spec) : options_(std::move(options)), spec_(std::move(spec)) {
        options_.statement_timeout = longest_statement;
    }

    void open(const pipeline::SinkContext& context, const data::Schema& schema) override {
        context_ = context;
        schema_hash_ = schema.hash();
        table_ = postgres::staging_name(context.output_id, context.attempt_id);
        db_.emplace(Connection::connect(options_, context.stop));
        make_staging_schema(*db_);
        plan_ = make_plan(spec_, schema, inspect(*db_, spec_));
        explain();
        // The decision's COMMIT is synchronous, and the log is one: with it the load is on disk too.
        db_->script("begin; set local synchronous_commit = off; set local client_min_messages = error");
        for (const auto& statement : create_statements(plan_, table_)) {
            db_->exec(statement);
        }
        db_->exec(copy_statement(plan_, table_));
        encoder_.emplace(plan_.copy, [this](std::string_view bytes) {
            db_->put_copy(bytes, context_.deadline);
            HEADRACE_POINT("K9");
        });
    }

    void stage(const data::Batch& batch) override {
        encoder_->write(batch);
        rows_ += batch.rows();
        bytes_ = encoder_->bytes();
        HEADRACE_POINT("K6");
    }

    Manifest seal() override {
        encoder_->finish();
        bytes_ = encoder_->bytes();
        const auto taken = db_->end_copy(context_.deadline);
        HEADRACE_POINT("K7");
        if (taken != rows_) {
            throw Error(
                ErrorKind::transient,
                "postgres.query",
                fmt::format("Postgres took {} of {} rows into the staging table", taken, rows_)
            );
        }
        build_keys();
        const auto size = db_->exec("select pg_relation_size(to_regclass($1)) as size", {qualified_staging()});
        const Staged staged{
            .table = table_, .size = static_cast<std::uint64_t>(size.integer(0, "size")), .rows = rows_};
        sealed_ = true;
        db_->exec("commit");
        db_.reset();
        warn_about_repairs();
        HEADRACE_POINT("K8");
        Manifest manifest;
        manifest.rows = rows_;
        manifest.bytes = bytes_;
        manifest.schema_hash = schema_hash_;
        manifest.statements = decision_statements(plan_, staged);
        return manifest;
    }

    // Until it is sealed the staging is one open transaction: it goes with the connection.
    void discard() noexcept override {
        try {
            db_.reset();
            HEADRACE_POINT("K18");
            if (sealed_) {
                auto options = options_;
                options.connect_timeout = milliseconds(1000);
                options.statement_timeout = milliseconds(2000);
                options.lock_timeout = milliseconds(1000);
                Connection::connect(options).exec("drop table if exists " + qualified_staging());
            }
        } catch (const std::exception&) {
            return;  // the reconciler sweeps what this misses
        }
    }

    std::uint64_t bytes_staged() const override { return bytes_; }

private:
    std::string qualified_staging() const { return postgres::qualified_name(postgres::staging_schema, table_); }

    // What will happen to the table and is not plain from the definition.
    void explain() {
        if (plan_.landing == Landing::create) {
            context_.log("info", fmt::format("the table {} is not there: it is made from the columns", spec_.name()));
        }
        for (const auto& column : plan_.columns) {
            if (column.added) {
                context_.log(
                    "info",
                    fmt::format("{} gets a new column `{}` of type {}", spec_.name(), column.name, column.sql_type)
                );
            }
        }
        if (plan_.landing == Landing::rewrite) {
            std::string reasons;
            for (const auto& reason : plan_.target->obstacles) {
                reasons += (reasons.empty() ? "" : ", ") + reason;
            }
            context_.log(
                "info",
                fmt::format("{} is replaced by DELETE and INSERT, not by a new table: {}", spec_.name(), reasons)
            );
        }
    }

    void build_keys() {
        for (const auto& statement : key_statements(plan_, table_)) {
            db_->exec_until(context_.deadline, statement);
        }
        const auto repeated =
            db_->exec("select coalesce(nullif(current_setting('headrace.repeated', true), ''), '0')::bigint as n")
                .integer(0, "n");
        if (repeated > 0) {
            context_.log(
                "warn", fmt::format("{} of {} rows share a key: the last one of each is kept", repeated, rows_)
            );
        }
        // Else the table's readers, or the merge, would get plans made without knowledge.
        if (plan_.is_future_table()) {
            db_->exec_until(context_.deadline, "analyze " + qualified_staging());
        } else if (plan_.landing == Landing::merge) {
            const auto key = postgres::quote_identifiers(plan_.spec.key);
            db_->exec_until(context_.deadline, fmt::format("analyze {} ({})", qualified_staging(), key));
        }
    }

    void warn_about_repairs() {
        for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
            if (const auto count = encoder_->repaired(i); count > 0) {
                context_.log(
                    "warn",
                    fmt::format(
                        "{} value{} of `{}` held bytes that Postgres cannot store (not UTF-8, or NUL): each is now "
                        "U+FFFD",
                        count,
                        count == 1 ? "" : "s",
                        plan_.columns[i].name
                    )
                );
            }
        }
    }

    postgres::ConnectOptions options_;
    Spec spec_;
    pipeline::SinkContext context_;
    std::string schema_hash_;
    std::string table_;  // in the staging schema
    Plan plan_;
    std::optional<Connection> db_;
    std::optional<CopyEncoder> encoder_;
    bool sealed_ = false;
    std::uint64_t rows_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace

pipeline::SinkType type(postgres::ConnectOptions db) {
    using pipeline::OptionKind;
    return {
        .name = "postgres",
        .help = "Writes the rows to a table in headrace's own database, with the run's commit.",
        .options =
            {{.name = "table", .required = true, .help = "The table, `schema.table`; without a schema it is public."},
             {.name = "mode",
              .kind = OptionKind::choice,
              .default_value = "replace",
              .help = "What happens to the rows that are there.",
              .choices = {"append", "merge", "replace"}},
             {.name = "key",
              .kind = OptionKind::text_list,
              .help = "The columns that tell rows apart; of equal ones the last row counts. mode: append: rows whose "
                      "key is in "
                      "the table already are left as they are."}},
        .needs_credential = false,
        .make =
            [db = std::move(db)](const Definition&, const Part& part, const pipeline::Credential*) {
                return std::make_unique<PostgresSink>(db, read_spec(part));
            },
        .output_name = [](const Definition&, const Part& part) { return "postgres:" + read_spec(part).name(); },
        .in_ledger = true,
        .takes_rows_again =
            [](const Part& part) {
                return part.options.get("mode") != "replace" && !part.options.get_list("key").empty();
            },
    };
}

}  // namespace headrace::sink::postgres_sink
