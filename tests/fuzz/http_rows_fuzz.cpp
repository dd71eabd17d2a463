// libFuzzer: any bytes into the reader and decoder of JSON answers. The first byte says how they are cut, and whether
// lone objects are lists; the rows stand at the top or at /r. Start it with tests/fuzz/corpus/http_rows.
#include "fuzz.hpp"
#include "source/http/page.hpp"

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
    fuzz::Pieces pieces(body, step);
    reader.begin([&] { return pieces.next(); });
    while (reader.next()) {
        decoder.append(batch);
    }
    reader.value_at("/next");
    fuzz::publish(batch);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    return fuzz::one_input(bytes, size, [](std::uint8_t choice, std::string_view text) {
        read(text, 1 + (choice >> 2), choice & 1, choice & 2);
    });
}
