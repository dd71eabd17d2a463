// How fast responses of Storage Read become columns: the rows of bigquery_page_bench.cpp, in Avro.
#include "source/bigquery/answer.hpp"
#include "source/bigquery/storage/avro_rows.hpp"
#include "support/bigquery/avro.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace headrace;

constexpr std::uint64_t avro_rows = 40'000;

void decode_avro(benchmark::State& state) {
    const auto table = support::bigquery::mixed_table("p.d.t", avro_rows);
    std::string fields;
    std::vector<std::size_t> all;
    for (const auto& column : table.columns) {
        fields += (fields.empty() ? "" : ",") + support::bigquery::field_json(column);
        all.push_back(all.size());
    }
    const support::bigquery::AvroTable avro(table, all);
    std::string bytes;
    for (std::uint64_t row = 0; row < avro_rows; ++row) {
        avro.append(bytes, row);
    }
    const auto columns = *source::bigquery::parse_envelope(R"({"schema":{"fields":[)" + fields + "]}}").columns;
    source::bigquery::storage::AvroRows decoder(columns, avro.schema());
    data::Batch batch(source::bigquery::schema_of(columns));
    for (auto _ : state) {
        decoder.begin(bytes, avro_rows, 0);
        while (!decoder.decode(batch, data::target_batch_bytes)) {
            batch.clear();
        }
        batch.clear();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * avro_rows));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

BENCHMARK(decode_avro)->Unit(benchmark::kMillisecond);

}  // namespace
