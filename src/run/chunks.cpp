#include "run/chunks.hpp"

#include "base/killpoint.hpp"
#include "run/ledger_rows.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include <algorithm>

namespace headrace::run {
namespace {

namespace json = boost::json;
using postgres::Connection;

std::string parts_json(const std::vector<ChunkPart>& parts) {
    json::array out;
    for (const auto& part : parts) {
        out.push_back(
            {{"output", part.output_id},
             {"table", part.rows.table},
             {"size", part.rows.size},
             {"rows", part.rows.rows},
             {"bytes", part.rows.bytes},
             {"shape", part.rows.shape}}
        );
    }
    return json::serialize(out);
}

std::vector<ChunkPart> parse_parts(std::string_view text) {
    const auto all = json::parse(text);
    std::vector<ChunkPart> parts;
    for (const auto& one : all.as_array()) {
        const auto text_of = [&](const char* key) { return json::value_to<std::string>(one.at(key)); };
        const auto number_of = [&](const char* key) { return json::value_to<std::uint64_t>(one.at(key)); };
        parts.push_back(
            {json::value_to<std::int64_t>(one.at("output")),
             {text_of("table"), number_of("size"), number_of("rows"), number_of("bytes"), text_of("shape")}}
        );
    }
    return parts;
}

Chunk chunk_of(const postgres::Result& rows, std::size_t i) {
    const auto number = [&](std::string_view column) { return static_cast<std::uint64_t>(rows.integer(i, column)); };
    return {
        .number = static_cast<int>(rows.integer(i, "chunk")),
        .from = std::string(rows.text(i, "range_from")),
        .to = std::string(rows.text(i, "range_to")),
        .through = std::string(rows.text(i, "through")),
        .counters =
            {.rows_read = number("rows_read"),
             .rows_written = number("rows_written"),
             .rows_rejected = number("rows_rejected"),
             .rows_filtered = number("rows_filtered"),
             .bytes_read = number("bytes_read"),
             .bytes_written = number("bytes_written")},
        .parts = parse_parts(rows.text(i, "parts"))};
}

void insert_chunk(Connection& c, std::string_view run_id, std::string_view attempt_id, const Chunk& chunk) {
    const auto& counters = chunk.counters;
    c.exec(
        "insert into etl_chunks (run_id, chunk, pipeline, attempt, attempt_id, range_from, range_to, through, "
        "rows_read,"
        " rows_written, rows_rejected, rows_filtered, bytes_read, bytes_written, parts) select run_id, $2, pipeline,"
        " attempt, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 from etl_runs where run_id = $1",
        {run_id,
         chunk.number,
         attempt_id,
         chunk.from,
         chunk.to,
         chunk.through,
         counters.rows_read,
         counters.rows_written,
         counters.rows_rejected,
         counters.rows_filtered,
         counters.bytes_read,
         counters.bytes_written,
         parts_json(chunk.parts)}
    );
}

}  // namespace

bool can_go_on(const pipeline::Registry& registry, const pipeline::Definition& definition) {
    const auto keeps = [&](const pipeline::Part& sink) {
        return pipeline::find_type(registry.sinks(), sink.type).keeps_chunks;
    };
    const auto looks_back = [](const auto& types) {
        return [&types](const pipeline::Part& step) { return pipeline::find_type(types, step.type).remembers_rows; };
    };
    const auto& transforms = definition.transforms;
    const auto& checks = definition.checks;
    return definition.incremental && definition.incremental->chunk_rows > 0 && !definition.sinks.empty() &&
           std::all_of(definition.sinks.begin(), definition.sinks.end(), keeps) &&
           std::none_of(transforms.begin(), transforms.end(), looks_back(registry.transforms())) &&
           std::none_of(checks.begin(), checks.end(), looks_back(registry.checks()));
}

bool add_chunk(Connection& db, std::string_view run_id, std::string_view attempt_id, const Chunk& chunk) {
    bool added = false;
    HEADRACE_POINT("K22");
    db.transaction([&](Connection& c) {
        added = false;
        std::vector<std::int64_t> outputs;
        for (const auto& part : chunk.parts) {
            outputs.push_back(part.output_id);
        }
        if (own_run(c, run_id, attempt_id) == Owned::no || !own_outputs(c, outputs, attempt_id)) {
            return;
        }
        const auto last = c.exec(
            "select coalesce(max(chunk), 0) as number, (array_agg(attempt_id order by chunk desc))[1] as attempt_id"
            " from etl_chunks where run_id = $1",
            {run_id}
        );
        if (last.integer(0, "number") == chunk.number && last.text(0, "attempt_id") == attempt_id) {
            added = true;
            return;
        }
        if (last.integer(0, "number") != chunk.number - 1) {
            return;
        }
        insert_chunk(c, run_id, attempt_id, chunk);
        added = true;
        HEADRACE_POINT("K23");
    });
    HEADRACE_POINT("K24");
    return added;
}

std::vector<Chunk> take_chunks(Connection& c, std::string_view run_id, int attempt) {
    const auto rows = c.exec(
        "select k.*, (select bool_and(coalesce(pg_relation_size(to_regclass('headrace_staging.' || p.\"table\")), -1) ="
        " p.size) from jsonb_to_recordset(k.parts) as p(\"table\" text, size bigint)) as whole from etl_chunks k"
        " where run_id = $1 order by chunk",
        {run_id}
    );
    std::vector<Chunk> chunks;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
        if (!rows.boolean(i, "whole")) {
            forget_chunks(c, run_id);
            return {};
        }
        chunks.push_back(chunk_of(rows, i));
    }
    if (!chunks.empty()) {
        c.exec(
            "insert into etl_rejects (run_id, attempt, row_number, step, reason, content) select run_id, $2, "
            "row_number,"
            " step, reason, content from etl_rejects where run_id = $1 and attempt = $3 and row_number <= $4",
            {run_id, attempt, rows.integer(rows.rows() - 1, "attempt"), chunks.back().counters.rows_read}
        );
    }
    return chunks;
}

void forget_chunks_of_pipeline(Connection& c, std::string_view run_id) {
    c.exec("delete from etl_chunks where pipeline = (select pipeline from etl_runs where run_id = $1)", {run_id});
}

void forget_chunks(Connection& c, std::string_view run_id) {
    c.exec("delete from etl_chunks where run_id = $1", {run_id});
}

}  // namespace headrace::run
