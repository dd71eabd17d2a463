// A pull reader over a body that comes in pieces: values may be split at every byte. Blocks while it waits for a piece.
// Belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace headrace::source::clickhouse {

class ByteReader {
public:
    // `next_piece`: the next piece, valid until the next call; empty = the body is over. What it throws goes through.
    explicit ByteReader(std::function<std::string_view()> next_piece) : next_piece_(std::move(next_piece)) {}

    // True when not a byte is left. Waits when the window is empty.
    bool at_end() { return at_ == end_ && !refill(); }

    // The bytes at hand; may be none.
    const char* data() const { return at_; }

    std::size_t available() const { return static_cast<std::size_t>(end_ - at_); }

    void skip(std::size_t count) { at_ += count; }  // count <= available()

    // Waits until at least one byte is at hand. Throws source.incomplete at the end.
    void need_some() {
        if (at_ == end_) {
            need_piece();
        }
    }

    // Each throws Error{transient, "source.incomplete"} when the body ends first.
    void read(void* to, std::size_t count);

    std::uint8_t byte() {
        need_some();
        return static_cast<std::uint8_t>(*at_++);
    }

    std::uint64_t uint64();              // little endian
    std::uint64_t varint();              // LEB128, all 64 bits; longer forms throw source.bad_data
    std::string text(std::size_t most);  // varint length and bytes; a longer one throws source.bad_data
    // True when the next 8 bytes are `expected` (little endian); nothing is consumed. False when fewer are left.
    bool next_is(std::uint64_t expected);

    std::uint64_t received() const { return received_; }  // bytes taken from next_piece so far

    std::uint64_t position() const { return received_ - available(); }

    // The last bytes that were received (at least the last 20 KiB): a server's late words stand at the end of the body.
    std::string_view tail() const { return tail_; }

    // Receives up to `most` bytes more for the sake of tail(). Swallows every error: the body may be broken on purpose.
    void drain(std::size_t most) noexcept;

private:
    bool refill();
    void need_piece();
    void remember(std::string_view piece);

    std::function<std::string_view()> next_piece_;
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    std::string joined_;  // a few bytes and the piece behind them, for next_is
    std::string tail_;
    std::uint64_t received_ = 0;
    bool over_ = false;
};

}  // namespace headrace::source::clickhouse
