// Growable array of trivial values whose new elements are not initialised: decoders write them at once, and a vector's
// zeroing would be a third of the decode time. Not thread-safe.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace headrace::data {

// 16 bytes behind the capacity may be read and written (block-wise copies run over the end); their values mean nothing.
inline constexpr std::size_t buffer_padding = 16;

// Copies whole blocks of 16: reads and writes up to 15 bytes too far (both sides have the padding).
inline char* copy_padded(char* to, const char* from, std::size_t size) {
    for (std::size_t done = 0; done < size; done += buffer_padding) {
        std::memcpy(to + done, from + done, buffer_padding);
    }
    return to + size;
}

template <class T>
class Buffer {
public:
    Buffer() = default;

    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}

    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
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

    void release() { Buffer().swap(*this); }  // gives the memory back

    void swap(Buffer& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

    void reserve(std::size_t wanted) {
        if (wanted > capacity_) {
            grow(wanted);
        }
    }

    // New elements are indeterminate.
    void resize(std::size_t size) {
        reserve(size);
        size_ = size;
    }

    void push_back(T value) {
        if (size_ == capacity_) {
            grow(size_ + 1);
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
    [[gnu::noinline]] void grow(std::size_t wanted) {
        constexpr std::size_t most = std::size_t{1} << 46;
        if (wanted > most / sizeof(T)) {
            throw std::bad_alloc();
        }
        const std::size_t grown = std::bit_ceil(wanted < 64 ? 64 : wanted);
        void* moved = std::realloc(data_, grown * sizeof(T) + buffer_padding);
        if (moved == nullptr) {
            throw std::bad_alloc();
        }
        data_ = static_cast<T*>(moved);
        capacity_ = grown;
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

inline void append(Buffer<char>& out, std::string_view text) {
    out.append(text.data(), text.size());
}

inline std::string_view view(const Buffer<char>& buffer) {
    return {buffer.data(), buffer.size()};
}

}  // namespace headrace::data
