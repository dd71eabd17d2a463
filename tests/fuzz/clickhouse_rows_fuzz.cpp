// libFuzzer: any bytes into the decoder of RowBinaryWithNamesAndTypes. The first byte chooses how the bytes are cut.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/clickhouse/decode.hpp"

#include <cstdint>
#include <cstring>
#include <memory>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace headrace;
    if (size == 0) {
        return 0;
    }
    const std::size_t step = 1 + bytes[0] % 64;
    std::string_view rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    std::unique_ptr<char[]> piece;
    source::clickhouse::ByteReader in([&] {
        const auto part = rest.substr(0, step);
        rest.remove_prefix(part.size());
        piece = std::make_unique<char[]>(part.size());
        std::memcpy(piece.get(), part.data(), part.size());
        return std::string_view(piece.get(), part.size());
    });
    source::clickhouse::RowBinaryDecoder decoder(in, {std::size_t{1} << 20, false});
    data::Batch batch;
    data::Buffer<char> out;
    try {
        while (decoder.next_block(batch)) {
            const data::JsonEncoder encoder(batch.schema());
            out.clear();
            encoder.append_objects(out, batch, 0, batch.rows());
        }
    } catch (const Error&) {
        return 0;  // refused: that is an answer
    }
    return 0;
}
