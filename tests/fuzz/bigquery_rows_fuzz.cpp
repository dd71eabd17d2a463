// libFuzzer: any bytes into the reader and decoder of BigQuery's pages. The first byte chooses how the bytes are cut; a
// page may bring its own schema (before a zero byte), else it has one column of each kind. Start it with
// tests/fuzz/corpus/bigquery_rows.
#include "fuzz.hpp"
#include "source/bigquery/decode.hpp"
#include "source/bigquery/page.hpp"

namespace {

using namespace headrace;

constexpr std::string_view columns_of_each_kind =
    R"({"schema":{"fields":[{"name":"i","type":"INTEGER"},{"name":"f","type":"FLOAT"},{"name":"n","type":"NUMERIC"},{"name":"b","type":"BOOLEAN"},{"name":"s","type":"STRING","mode":"REQUIRED"},{"name":"y","type":"BYTES"},{"name":"d","type":"DATE"},{"name":"t","type":"TIME"},{"name":"z","type":"TIMESTAMP"},{"name":"j","type":"JSON"},{"name":"l","type":"INTEGER","mode":"REPEATED"},{"name":"r","type":"RECORD","mode":"REPEATED","fields":[{"name":"x","type":"TIMESTAMP"},{"name":"y","type":"FLOAT"}]}]}})";

void read(std::string_view schema, std::string_view body, std::size_t step) {
    const auto columns = source::bigquery::parse_envelope(schema).columns.value_or(source::bigquery::Columns());
    if (columns.empty()) {
        return;
    }
    source::bigquery::PageReader reader(1 << 20);
    source::bigquery::RowDecoder decoder(columns);
    data::Batch batch(source::bigquery::schema_of(columns));
    source::bigquery::PageMark mark;
    fuzz::Pieces pieces(body, step);
    reader.begin([&] { return pieces.next(); });
    while (const auto window = reader.next()) {
        decoder.decode(*window, 0, 0, batch, mark);
    }
    fuzz::publish(batch);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    return fuzz::one_input(bytes, size, [](std::uint8_t choice, std::string_view text) {
        const auto zero = text.find('\0');
        const bool own = zero != std::string_view::npos;
        read(own ? text.substr(0, zero) : columns_of_each_kind, own ? text.substr(zero + 1) : text, 1 + choice);
    });
}
