// What the fuzz targets of the decoders share.
#pragma once

#include "base/error.hpp"
#include "data/json.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace headrace::fuzz {

// A body in pieces of `step` bytes, each alone in its memory, so that ASan sees a read of one byte too many.
class Pieces {
public:
    Pieces(std::string_view body, std::size_t step) : rest_(body), step_(step) {}

    std::string_view next() {  // valid until the next call; empty at the end
        const auto size = std::min(step_, rest_.size());
        piece_ = std::make_unique<char[]>(size);
        std::memcpy(piece_.get(), rest_.data(), size);
        rest_.remove_prefix(size);
        return {piece_.get(), size};
    }

private:
    std::string_view rest_;
    std::size_t step_;
    std::unique_ptr<char[]> piece_;
};

// What a sink would publish must be JSON.
inline void publish(const data::Batch& batch) {
    const data::JsonEncoder encoder(batch.schema());
    data::Buffer<char> out;
    data::append(out, "[");
    encoder.append_objects(out, batch, 0, batch.rows());
    data::append(out, "]");
    if (!data::is_json(data::view(out))) {
        std::abort();
    }
}

// The first byte chooses how `read(choice, text)` goes about the rest. A refusal is an answer.
template <class Read>
int one_input(const std::uint8_t* bytes, std::size_t size, Read read) {
    if (size == 0) {
        return 0;
    }
    try {
        read(bytes[0], std::string_view(reinterpret_cast<const char*>(bytes) + 1, size - 1));
    } catch (const Error&) {
        return 0;
    }
    return 0;
}

}  // namespace headrace::fuzz
