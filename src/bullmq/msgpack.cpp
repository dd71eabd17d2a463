#include "bullmq/msgpack.hpp"

#include <bit>
#include <cmath>

namespace headrace::bullmq {

void Packer::big_endian(std::uint64_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
        out_.push_back(static_cast<char>((value >> shift) & 0xffU));
    }
}

void Packer::integer(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= -32 && value <= 127) {
        out_.push_back(static_cast<char>(value));
    } else if (value >= 0) {
        const int bytes = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffffLL ? 4 : 8;
        out_.push_back(static_cast<char>(0xcc + std::countr_zero(static_cast<unsigned>(bytes))));
        big_endian(bits, bytes);
    } else {
        const int bytes = value >= -128 ? 1 : value >= -32768 ? 2 : value >= -2147483648LL ? 4 : 8;
        out_.push_back(static_cast<char>(0xd0 + std::countr_zero(static_cast<unsigned>(bytes))));
        big_endian(bits, bytes);
    }
}

void Packer::number(double value) {
    constexpr double exact = 9007199254740992.0;  // 2^53
    if (std::abs(value) <= exact && std::trunc(value) == value && !(value == 0 && std::signbit(value))) {
        integer(static_cast<std::int64_t>(value));
        return;
    }
    out_.push_back('\xcb');
    big_endian(std::bit_cast<std::uint64_t>(value), 8);
}

void Packer::string(std::string_view value) {
    string_head(value.size());
    out_.append(value);
}

void Packer::string_head(std::size_t size) {
    if (size < 32) {
        out_.push_back(static_cast<char>(0xa0U | size));
    } else if (size <= 0xff) {
        out_.push_back('\xd9');
        big_endian(size, 1);
    } else if (size <= 0xffff) {
        out_.push_back('\xda');
        big_endian(size, 2);
    } else {
        out_.push_back('\xdb');
        big_endian(size, 4);
    }
}

void Packer::array(std::size_t count) {
    if (count < 16) {
        out_.push_back(static_cast<char>(0x90U | count));
    } else if (count <= 0xffff) {
        out_.push_back('\xdc');
        big_endian(count, 2);
    } else {
        out_.push_back('\xdd');
        big_endian(count, 4);
    }
}

void Packer::map(std::size_t count) {
    if (count < 16) {
        out_.push_back(static_cast<char>(0x80U | count));
    } else if (count <= 0xffff) {
        out_.push_back('\xde');
        big_endian(count, 2);
    } else {
        out_.push_back('\xdf');
        big_endian(count, 4);
    }
}

Packer& MapPacker::next(std::string_view key) {
    ++count_;
    body_.string(key);
    return body_;
}

std::string MapPacker::take() {
    Packer out;
    out.map(count_);
    out.raw(body_.bytes());
    return out.take();
}

}  // namespace headrace::bullmq
