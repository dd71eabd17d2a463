// How fast pages of BigQuery become columns: 40,000 rows of eight mixed columns, as the REST API writes them, in pieces
// as a socket gives them.
#include "source/bigquery/decode.hpp"
#include "source/bigquery/page.hpp"
#include "support/bigquery/table.hpp"

#include <benchmark/benchmark.h>

#include <string>

namespace {

using namespace headrace;

constexpr std::uint64_t rows = 40'000;

std::string page_text() {
    const auto table = support::bigquery::mixed_table("p.d.t", rows);
    std::string out = R"({"schema":{"fields":[)";
    for (const auto& column : table.columns) {
        out += (out.back() == '[' ? "" : ",") + support::bigquery::field_json(column);
    }
    out += R"(]},"jobReference":{"jobId":"j"},"totalRows":"40000","rows":[)";
    for (std::uint64_t row = 0; row < rows; ++row) {
        out += row == 0 ? "{\"f\":[" : ",{\"f\":[";
        for (const auto& column : table.columns) {
            out += &column == &table.columns.front() ? "{\"v\":" : ",{\"v\":";
            column.value(out, row);
            out += '}';
        }
        out += "]}";
    }
    return out + R"(],"jobComplete":true})";
}

void run(benchmark::State& state, bool decode) {
    const auto text = page_text();
    const auto columns = *source::bigquery::parse_envelope(text.substr(0, text.find("\"rows\":[") + 8) + "]}").columns;
    source::bigquery::PageReader reader(32u << 20);
    source::bigquery::RowDecoder decoder(columns);
    data::Batch batch(source::bigquery::schema_of(columns));
    for (auto _ : state) {
        std::string_view rest = text;
        reader.begin([&] {
            const auto piece = rest.substr(0, 128 * 1024);
            rest.remove_prefix(piece.size());
            return piece;
        });
        source::bigquery::PageMark mark;
        while (const auto window = reader.next()) {
            if (decode) {
                decoder.decode(*window, 0, 0, batch, mark);
                batch.clear();
            }
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void cut_windows(benchmark::State& state) {
    run(state, false);
}

void decode_rows(benchmark::State& state) {
    run(state, true);
}

BENCHMARK(cut_windows)->Unit(benchmark::kMillisecond);
BENCHMARK(decode_rows)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
