// One column of a batch: typed values with a null bitmap. Memory is kept when a batch is reused (clear() frees nothing).
// Not thread-safe; a column belongs to its batch, a batch to one thread at a time.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "data/schema.hpp"

namespace headrace::data {

// Growable array of trivial values whose new elements are not initialised: decoders write them at once, and a vector's
// zeroing would be a third of the decode time.
template <class T>
class Buffer {
public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }
    void clear() { size_ = 0; }

    void reserve(std::size_t wanted) {
        if (wanted <= capacity_) {
            return;
        }
        const std::size_t grown = std::bit_ceil(wanted < 64 ? 64 : wanted);
        void* moved = std::realloc(data_, grown * sizeof(T));
        if (moved == nullptr) {
            throw std::bad_alloc();
        }
        data_ = static_cast<T*>(moved);
        capacity_ = grown;
    }
    // New elements are indeterminate.
    void resize(std::size_t size) {
        reserve(size);
        size_ = size;
    }
    void push_back(T value) {
        if (size_ == capacity_) {
            reserve(size_ + 1);
        }
        data_[size_++] = value;
    }
    // Room for `count` more; returns where they start.
    T* extend(std::size_t count) {
        resize(size_ + count);
        return data_ + (size_ - count);
    }
    void append(const T* from, std::size_t count) {
        if (count > 0) {
            std::memcpy(extend(count), from, count * sizeof(T));
        }
    }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

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
        return has_nulls_ && (nulls_[row / 64] >> (row % 64) & 1) != 0;
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
    void add_text(std::string_view value);

    // --- appending many (decoders) ---
    // Fixed kinds: `count` slots to be filled by the caller.
    std::int64_t* extend_fixed(std::size_t count) {
        size_ += count;
        return fixed_.extend(count);
    }
    // Var kinds: direct access. After appending bytes to var_bytes() and one end offset per value to var_ends(),
    // call added_var(count).
    Buffer<char>& var_bytes() { return var_; }
    Buffer<std::uint32_t>& var_ends() { return ends_; }
    void added_var(std::size_t count) { size_ += count; }
    // Marks row (already appended) as null.
    void set_null(std::size_t row);

    // Raw access for encoders.
    const std::int64_t* fixed() const { return fixed_.data(); }
    const std::uint32_t* ends() const { return ends_.data(); }
    const char* var() const { return var_.data(); }

    // Keeps the rows whose bit in `keep` (size() bytes, 0 or 1) is set, in order.
    void filter(const std::uint8_t* keep);

private:
    Kind kind_;
    bool has_nulls_ = false;
    std::size_t size_ = 0;
    Buffer<std::int64_t> fixed_;
    Buffer<char> var_;
    Buffer<std::uint32_t> ends_;
    Buffer<std::uint64_t> nulls_;  // bit set = null; only valid when has_nulls_
};

}  // namespace headrace::data
