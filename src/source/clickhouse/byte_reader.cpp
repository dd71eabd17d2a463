#include "source/clickhouse/byte_reader.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>

namespace headrace::source::clickhouse {
namespace {

constexpr std::size_t tail_kept = 20 * 1024;  // an exception block is at most 16 KiB

}  // namespace

bool ByteReader::refill() {
    if (over_) {
        return false;
    }
    const auto piece = next_piece_();
    if (piece.empty()) {
        over_ = true;
        return false;
    }
    at_ = piece.data();
    end_ = at_ + piece.size();
    received_ += piece.size();
    remember(piece);
    return true;
}

void ByteReader::remember(std::string_view piece) {
    if (piece.size() >= tail_kept) {
        tail_.assign(piece.substr(piece.size() - tail_kept));
        return;
    }
    if (tail_.size() + piece.size() > 2 * tail_kept) {
        tail_.erase(0, tail_.size() - (tail_kept - piece.size()));
    }
    tail_ += piece;
}

void ByteReader::need_piece() {
    if (!refill()) {
        throw Error(ErrorKind::transient, "source.incomplete", "the result ended in the middle of a block");
    }
}

void ByteReader::read(void* to, std::size_t count) {
    auto* out = static_cast<char*>(to);
    while (count > 0) {
        need_some();
        const std::size_t part = std::min(count, available());
        std::memcpy(out, at_, part);
        at_ += part;
        out += part;
        count -= part;
    }
}

std::uint64_t ByteReader::uint64() {
    std::uint64_t value = 0;
    read(&value, sizeof value);
    return value;
}

std::uint64_t ByteReader::varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const std::uint64_t part = byte();
        if (shift == 63 && part > 1) {
            break;
        }
        value |= (part & 0x7f) << shift;
        if (part < 0x80) {
            return value;
        }
    }
    throw Error(ErrorKind::permanent, "source.bad_data", "a length of more than 64 bits");
}

std::string ByteReader::text(std::size_t most) {
    const std::uint64_t length = varint();
    if (length > most) {
        throw Error(ErrorKind::permanent, "source.bad_data", "a name of " + std::to_string(length) + " bytes");
    }
    std::string out;
    while (out.size() < length) {
        need_some();
        const std::size_t part = std::min<std::size_t>(length - out.size(), available());
        out.append(at_, part);
        at_ += part;
    }
    return out;
}

bool ByteReader::next_is(std::uint64_t expected) {
    while (available() < sizeof expected && !over_) {
        const std::string rest(at_, available());
        if (!refill()) {
            joined_ = rest;
        } else {
            joined_ = rest + std::string(at_, available());
        }
        at_ = joined_.data();
        end_ = at_ + joined_.size();
    }
    std::uint64_t value = 0;
    if (available() < sizeof value) {
        return false;
    }
    std::memcpy(&value, at_, sizeof value);
    return value == expected;
}

void ByteReader::drain(std::size_t most) noexcept {
    try {
        const std::uint64_t until = received_ + most;
        while (received_ < until && refill()) {
        }
        at_ = end_;
    } catch (...) {
        over_ = true;
        at_ = end_;
    }
}

}  // namespace headrace::source::clickhouse
