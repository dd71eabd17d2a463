// libFuzzer: any bytes into the decoder of RowBinaryWithNamesAndTypes. The first byte chooses how the bytes are cut.
#include "fuzz.hpp"
#include "source/clickhouse/decode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace headrace;
    return fuzz::one_input(bytes, size, [](std::uint8_t choice, std::string_view text) {
        fuzz::Pieces pieces(text, 1 + choice % 64);
        source::clickhouse::ByteReader in([&] { return pieces.next(); });
        source::clickhouse::RowBinaryDecoder decoder(in, {std::size_t{1} << 20, false});
        data::Batch batch;
        while (decoder.next_block(batch)) {
            fuzz::publish(batch);
        }
    });
}
