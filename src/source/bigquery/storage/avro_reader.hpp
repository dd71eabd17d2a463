// The primitives of Avro's binary form, read from memory with every bound checked. Pure.
//
// Errors: source.bad_data (permanent).
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <cstring>
#include <string_view>

namespace headrace::source::bigquery::storage {

[[noreturn]] inline void bad_avro(std::string what) {
    throw Error(ErrorKind::permanent, "source.bad_data", std::move(what));
}

class AvroReader {
public:
    AvroReader() = default;

    explicit AvroReader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

    // Zigzag, at most ten bytes.
    std::int64_t integer() {
        if (at_ != end_ && static_cast<signed char>(*at_) >= 0) {  // one byte: most union branches, short lengths
            return unzigzag(static_cast<std::uint8_t>(*at_++));
        }
        return long_integer();
    }

    double float64() { return fixed<double>(); }

    float float32() { return fixed<float>(); }

    bool boolean() {
        const auto byte = static_cast<std::uint8_t>(*take(1));
        if (byte > 1) {
            bad_avro("a boolean is neither 0 nor 1");
        }
        return byte == 1;
    }

    std::string_view bytes() {
        const auto size = integer();
        if (size < 0) {
            bad_avro("a negative length");
        }
        if (static_cast<std::uint64_t>(size) > left()) {
            bad_avro("a value is longer than what is left of the response");
        }
        return {take(static_cast<std::size_t>(size)), static_cast<std::size_t>(size)};
    }

private:
    static std::int64_t unzigzag(std::uint64_t value) {
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }

    std::int64_t long_integer() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<std::uint8_t>(*take(1));
            if (shift == 63 && byte > 1) {
                break;
            }
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) {
                return unzigzag(value);
            }
        }
        bad_avro("an integer of more than 64 bits");
    }

    template <class Value>
    Value fixed() {
        Value value;
        std::memcpy(&value, take(sizeof value), sizeof value);  // little-endian, as this machine is
        return value;
    }

    const char* take(std::size_t count) {
        if (count > left()) {
            bad_avro("the response ends within a row");
        }
        const char* out = at_;
        at_ += count;
        return out;
    }

    const char* at_ = nullptr;
    const char* end_ = nullptr;
};

}  // namespace headrace::source::bigquery::storage
