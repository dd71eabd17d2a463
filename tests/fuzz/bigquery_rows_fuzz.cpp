// libFuzzer: any bytes into the reader and decoder of BigQuery's pages. The first byte chooses how the bytes are cut; a
// page may bring its own schema (before a zero byte), else it has one column of each kind. Start it with
// tests/fuzz/corpus/bigquery_rows.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/bigquery/decode.hpp"
#include "source/bigquery/page.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

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
    reader.begin([&] {
        const auto piece = body.substr(0, step);
        body.remove_prefix(piece.size());
        return piece;
    });
    while (const auto window = reader.next()) {
        decoder.decode(*window, 0, 0, batch, mark);
    }
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> out;
    data::append(out, "[");
    encoder.append_objects(out, batch, 0, batch.rows());
    data::append(out, "]");
    if (!data::is_json(data::view(out))) {
        std::abort();  // what a sink would publish must be JSON
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    const auto zero = text.find('\0');
    try {
        read(
            zero == std::string_view::npos ? columns_of_each_kind : text.substr(0, zero),
            zero == std::string_view::npos ? text : text.substr(zero + 1),
            1 + bytes[0]
        );
    } catch (const Error&) {
        return 0;  // refused: that is an answer
    }
    return 0;
}
