// libFuzzer: any bytes into the decoder of Storage Read's rows. The first byte says how many rows the response claims;
// a schema of its own may come before a zero byte (columns as REST names them, a line feed, Avro's), else there is one
// column of each kind. Start it with tests/fuzz/corpus/bigquery_avro.
#include "fuzz.hpp"
#include "source/bigquery/answer.hpp"
#include "source/bigquery/storage/avro_rows.hpp"

namespace {

using namespace headrace;

constexpr std::string_view own_mark = "{\"schema\"";

constexpr std::string_view columns_of_avro =
    R"({"schema":{"fields":[{"name":"i","type":"INTEGER"},{"name":"f","type":"FLOAT"},{"name":"n","type":"NUMERIC"},{"name":"m","type":"BIGNUMERIC"},{"name":"b","type":"BOOLEAN"},{"name":"s","type":"STRING","mode":"REQUIRED"},{"name":"y","type":"BYTES"},{"name":"d","type":"DATE"},{"name":"t","type":"TIME"},{"name":"z","type":"TIMESTAMP"},{"name":"j","type":"JSON"},{"name":"g","type":"RANGE"},{"name":"l","type":"INTEGER","mode":"REPEATED"},{"name":"r","type":"RECORD","mode":"REPEATED","fields":[{"name":"x","type":"TIMESTAMP"},{"name":"y","type":"FLOAT"},{"name":"k","type":"JSON"},{"name":"b","type":"BYTES"}]}]}})";
constexpr std::string_view avro_of_columns =
    R"({"type":"record","name":"__root__","fields":[{"name":"i","type":["null","long"]},{"name":"f","type":["null","double"]},{"name":"n","type":["null",{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}]},{"name":"m","type":["null",{"type":"bytes","logicalType":"decimal","precision":77,"scale":38}]},{"name":"b","type":["boolean","null"]},{"name":"s","type":"string"},{"name":"y","type":["null","bytes"]},{"name":"d","type":["null",{"type":"int","logicalType":"date"}]},{"name":"t","type":["null",{"type":"long","logicalType":"time-micros"}]},{"name":"z","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},{"name":"j","type":["null","string"]},{"name":"g","type":["null",{"type":"record","name":"g","fields":[{"name":"start","type":["null",{"type":"int","logicalType":"date"}]},{"name":"end","type":["null",{"type":"int","logicalType":"date"}]}]}]},{"name":"l","type":{"type":"array","items":"long"}},{"name":"r","type":{"type":"array","items":{"type":"record","name":"r","fields":[{"name":"x","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},{"name":"y","type":"float"},{"name":"k","type":["null","string"]},{"name":"b","type":"bytes"}]}}}]})";

void read(std::string_view columns_text, std::string_view schema, std::string_view body, std::uint64_t rows) {
    const auto columns = source::bigquery::parse_envelope(columns_text).columns.value_or(source::bigquery::Columns());
    if (columns.empty()) {
        return;
    }
    source::bigquery::storage::AvroRows decoder(columns, schema);
    data::Batch batch(source::bigquery::schema_of(columns));
    decoder.begin(body, rows, 0);
    while (!decoder.decode(batch, 64)) {
        batch.clear();
    }
    fuzz::publish(batch);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    return fuzz::one_input(bytes, size, [](std::uint8_t rows, std::string_view text) {
        const auto zero = text.find('\0');
        const auto line = text.find('\n');
        const bool own = text.starts_with(own_mark) && line < zero && zero != std::string_view::npos;
        read(
            own ? text.substr(0, line) : columns_of_avro,
            own ? text.substr(line + 1, zero - line - 1) : avro_of_columns,
            own ? text.substr(zero + 1) : text,
            rows
        );
    });
}
