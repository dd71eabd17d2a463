#include "run/generation.hpp"

#include "run/manifest.hpp"

namespace headrace::run {

const std::string_view generation_columns =
    "o.output_id, o.pipeline, m.epoch, o.seq, o.run_id, o.manifest, o.decided_at, o.payload is not null as "
    "has_payload, o.published,"
    " floor(extract(epoch from now() - o.decided_at) * 1000)::bigint as age_ms,"
    " floor(extract(epoch from o.decided_at) * 1000)::bigint as decided_ms";

Generation generation_of(const postgres::Result& rows, std::size_t row) {
    return {
        .output_id = rows.integer(row, "output_id"),
        .pipeline = std::string(rows.text(row, "pipeline")),
        .epoch = rows.integer(row, "epoch"),
        .seq = rows.integer(row, "seq"),
        .run_id = std::string(rows.text(row, "run_id")),
        .decided_at = format_rfc3339(rows.time(row, "decided_at").value_or(Timestamp())),
        .decided_ms = rows.integer(row, "decided_ms"),
        .age_ms = rows.integer(row, "age_ms"),
        .has_payload = rows.boolean(row, "has_payload"),
        .published = rows.boolean(row, "published"),
        .manifest = parse_manifest(rows.text(row, "manifest"))};
}

}  // namespace headrace::run
