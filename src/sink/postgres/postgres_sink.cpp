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
        take_over(context.chunks);
        begin_load();
    }

    void stage(const data::Batch& batch) override {
        encoder_->write(batch);
        rows_ += batch.rows();
        bytes_ = chunk_bytes() + encoder_->bytes();
        HEADRACE_POINT("K6");
    }

    pipeline::StagedChunk close_chunk() override {
        end_load();
        const auto size = size_of(table_);
        db_->exec("commit");
        chunks_.push_back({table_, size, rows_, encoder_->bytes(), shape()});
        table_ =
            fmt::format("{}_c{}", postgres::staging_name(context_.output_id, context_.attempt_id), chunks_.size() + 1);
        rows_ = 0;
        begin_load();
        return chunks_.back();
    }

    Manifest seal() override {
        end_load();
        bytes_ = chunk_bytes() + encoder_->bytes();
        Staged staged;
        for (const auto& chunk : chunks_) {
            staged.chunks.push_back(chunk.table);
        }
        if (!chunks_.empty()) {
            gather();
        }
        build_keys();
        staged.table = table_;
        staged.size = size_of(table_);
        staged.rows = rows_;
        sealed_ = true;
        db_->exec("commit");
        db_.reset();
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
    static std::string qualified(const std::string& table) {
        return postgres::qualified_name(postgres::staging_schema, table);
    }

    std::string qualified_staging() const { return qualified(table_); }

    std::uint64_t size_of(const std::string& table) {
        return static_cast<std::uint64_t>(
            db_->exec("select pg_relation_size(to_regclass($1)) as size", {qualified(table)}).integer(0, "size")
        );
    }

    // A load is one transaction of its own. The decision's COMMIT (and that of the chunk ledger) is synchronous, and
    // the log is one: with it the load is on disk too.
    void begin_load() {
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

    void end_load() {
        encoder_->finish();
        const auto taken = db_->end_copy(context_.deadline);
        HEADRACE_POINT("K7");
        if (taken != rows_) {
            throw Error(
                ErrorKind::transient,
                "postgres.query",
                fmt::format("Postgres took {} of {} rows into the staging table", taken, rows_)
            );
        }
        warn_about_repairs();
    }

    std::uint64_t chunk_bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& chunk : chunks_) {
            bytes += chunk.bytes;
        }
        return bytes;
    }

    std::string shape() const {
        std::string out;
        for (const auto& column : plan_.columns) {
            out += fmt::format("{} {},", column.name, column.sql_type);
        }
        return out;
    }

    // What an earlier attempt staged can only be used for columns that are still the same.
    void take_over(const std::vector<pipeline::StagedChunk>& chunks) {
        for (const auto& chunk : chunks) {
            if (chunk.shape != shape()) {
                throw Error(
                    ErrorKind::transient,
                    "run.chunks",
                    fmt::format("the columns of {} are no longer those that were staged", spec_.name())
                );
            }
        }
        chunks_ = chunks;
    }

    // One table of all chunks and the rest, in this order: of rows that share a key the last one counts. A scan must
    // not begin where another one was left (synchronize_seqscans).
    void gather() {
        const auto rest = table_;
        table_ = postgres::staging_name(context_.output_id, context_.attempt_id) + "_all";
        db_->exec("set local synchronize_seqscans = off");
        for (const auto& statement : create_statements(plan_, table_)) {
            db_->exec(statement);
        }
        auto parts = chunks_;
        parts.push_back({.table = rest, .rows = rows_});
        rows_ = 0;
        for (const auto& part : parts) {
            const auto rows =
                db_->exec_until(context_.deadline, gather_statement(plan_, part.table, table_)).affected();
            if (rows != part.rows) {
                throw Error(
                    ErrorKind::transient,
                    "run.chunks",
                    fmt::format("{} of {} rows are in the staged part {}", rows, part.rows, part.table)
                );
            }
            rows_ += rows;
        }
        db_->exec("drop table " + qualified(rest));
    }

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
    std::string table_;                          // in the staging schema
    std::vector<pipeline::StagedChunk> chunks_;  // of earlier attempts and of this one
    Plan plan_;
    std::optional<Connection> db_;
    std::optional<CopyEncoder> encoder_;
    bool sealed_ = false;
    std::uint64_t rows_ = 0;  // in table_
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
        .keeps_chunks = true,
    };
}

}  // namespace headrace::sink::postgres_sink
