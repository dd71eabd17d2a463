// libFuzzer: any bytes into the reader and decoder of JSON answers. The first byte says how they are cut, and whether
// lone objects are lists; the rows stand at the top or at /r. Start it with tests/fuzz/corpus/http_rows.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/http/page.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

using namespace headrace;

const source::http::Columns& columns_of_each_kind() {
    static const auto columns = [] {
        source::http::Columns out;
        for (const auto& [name, text] : std::initializer_list<std::pair<const char*, const char*>>{
                 {"i", "int64"},
                 {"u", "uint64"},
                 {"f", "float64"},
                 {"n", "decimal(9,3)"},
                 {"m", "decimal"},
                 {"b", "boolean"},
                 {"s", "string"},
                 {"y", "bytes"},
                 {"d", "date"},
                 {"t", "time"},
                 {"z", "timestamp"},
                 {"e", "epoch"},
                 {"j", "json"},
                 {"l", "list"},
                 {"a", "string /o/p/q"},
                 {"c", "string /h/[k=v]/w"},
                 {"g", "json /h/1"},
                 {"row", "json ."}}) {
            out.push_back(*source::http::parse_column(name, text));
        }
        return out;
    }();
    return columns;
}

void read(std::string_view body, std::size_t step, bool single, bool nested) {
    const auto& columns = columns_of_each_kind();
    source::http::RowDecoder decoder(columns, single);
    source::http::PageReader reader(decoder, *source::http::parse_path(nested ? "/r" : ""), single, {1 << 20, 1 << 20});
    data::Batch batch(schema_of(columns));
    reader.begin([&] {
        const auto piece = body.substr(0, step);
        body.remove_prefix(piece.size());
        return piece;
    });
    while (reader.next()) {
        decoder.append(batch);
    }
    reader.value_at("/next");
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> out;
    data::append(out, "[");
    encoder.append_objects(out, batch, 0, batch.rows());
    data::append(out, "]");
    if (batch.rows() > 0 && out.size() < (1 << 16) && !data::is_json(data::view(out))) {
        std::abort();  // what a sink would publish must be JSON
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    try {
        read({reinterpret_cast<const char*>(bytes) + 1, size - 1}, 1 + (bytes[0] >> 2), bytes[0] & 1, bytes[0] & 2);
    } catch (const Error&) {
        return 0;  // refused: that is an answer
    }
    return 0;
}
