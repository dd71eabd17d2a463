// One column of a batch: typed values with a null bitmap. Memory is kept when a batch is reused (clear() frees
// nothing). Not thread-safe; a column belongs to its batch, a batch to one thread at a time.
#pragma once

#include "data/buffer.hpp"
#include "data/schema.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace headrace::data {

class Column {
public:
    explicit Column(Kind kind = Kind::string) : kind_(kind) {}

    Kind kind() const { return kind_; }

    std::size_t size() const { return size_; }

    std::size_t bytes() const { return fixed_.size() * 8 + ends_.size() * 4 + var_.size() + nulls_.size() * 8; }

    void clear();
    void reset(Kind kind);  // clear() and change the kind

    // --- reading; row < size() ---
    bool is_null(std::size_t row) const {
        return has_nulls_ && row / 64 < nulls_.size() && (nulls_[row / 64] >> (row % 64) & 1) != 0;
    }

    bool has_nulls() const { return has_nulls_; }

    std::int64_t int64(std::size_t row) const { return fixed_[row]; }

    std::uint64_t uint64(std::size_t row) const { return static_cast<std::uint64_t>(fixed_[row]); }

    double float64(std::size_t row) const { return std::bit_cast<double>(fixed_[row]); }

    bool boolean(std::size_t row) const { return fixed_[row] != 0; }

    std::string_view text(std::size_t row) const {
        const std::uint32_t from = row == 0 ? 0 : ends_[row - 1];
        return {var_.data() + from, ends_[row] - from};
    }

    // All texts are UTF-8 in which JSON escapes nothing: they can be put between quotes as they are.
    bool quotable() const { return quotable_ == var_.size(); }

    // --- appending one value; the kind decides which one is right ---
    void add_null();  // the value slot holds 0 / ""

    void add_int64(std::int64_t value) {
        fixed_.push_back(value);
        ++size_;
    }

    void add_uint64(std::uint64_t value) { add_int64(static_cast<std::int64_t>(value)); }

    void add_float64(double value) { add_int64(std::bit_cast<std::int64_t>(value)); }

    void add_boolean(bool value) { add_int64(value ? 1 : 0); }

    // Throws Error{permanent, "source.bad_data"} when the column would pass 4 GiB.
    void add_text(std::string_view value) {
        check_text_size(value.size());
        var_.append(value.data(), value.size());
        ends_.push_back(static_cast<std::uint32_t>(var_.size()));
        ++size_;
    }

    // The same, quicker for short ones, of a text behind which `buffer_padding` bytes may be read.
    void add_padded_text(std::string_view value) {
        constexpr std::size_t most_short = 128;
        if (value.size() > most_short) {
            add_text(value);
            return;
        }
        check_text_size(value.size());
        copy_padded(var_.extend(value.size()), value.data(), value.size());
        ends_.push_back(static_cast<std::uint32_t>(var_.size()));
        ++size_;
    }

    // The same, of a text of which the caller knows that it is UTF-8 in which JSON escapes nothing.
    void add_quotable_text(std::string_view value) {
        const bool all = quotable();
        add_padded_text(value);
        quotable_ = all ? var_.size() : quotable_;
    }

    // --- appending many (decoders) ---
    // Fixed kinds: `count` slots to be filled by the caller.
    std::int64_t* extend_fixed(std::size_t count) {
        size_ += count;
        return fixed_.extend(count);
    }

    // Var kinds: direct access. After appending bytes to var_bytes() and one end offset per value to var_ends(),
    // call added_var(count).
    Buffer<char>& var_bytes() {
        quotable_ = 0;
        return var_;
    }

    Buffer<std::uint32_t>& var_ends() { return ends_; }

    void added_var(std::size_t count) { size_ += count; }

    // Marks row (already appended) as null.
    void set_null(std::size_t row);

    // Appends rows [from, to) of a column of the same kind.
    void append_rows(const Column& other, std::size_t from, std::size_t to);

    std::int64_t* fixed_data() { return fixed_.data(); }

    // Raw access for encoders.
    const std::int64_t* fixed() const { return fixed_.data(); }

    const std::uint32_t* ends() const { return ends_.data(); }

    const char* var() const { return var_.data(); }

    // Keeps the rows whose byte in `keep` (size() bytes, 0 or 1) is 1, in order.
    void filter(const std::uint8_t* keep);
    // Keeps the first `rows` rows.
    void truncate(std::size_t rows);

private:
    static constexpr std::size_t most_text = std::numeric_limits<std::uint32_t>::max();  // offsets are 32 bits

    void check_text_size(std::size_t more) const {
        if (more > most_text - var_.size()) {
            refuse_text();
        }
    }

    [[noreturn]] static void refuse_text();

    Kind kind_;
    bool has_nulls_ = false;
    std::size_t size_ = 0;
    std::size_t quotable_ = 0;  // so many bytes of var_, from the first on, are known to be
    Buffer<std::int64_t> fixed_;
    Buffer<char> var_;
    Buffer<std::uint32_t> ends_;
    Buffer<std::uint64_t> nulls_;  // bit set = null; reaches only to the last null; only valid when has_nulls_
};

}  // namespace headrace::data
