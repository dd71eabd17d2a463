// MessagePack encoder, as much of it as BullMQ's scripts read: maps, arrays, strings, integers, doubles, booleans, nil.
// Own code and not msgpack-cxx because Debian's libmsgpack-dev pulls in Boost 1.74's headers, which clash with the 1.81
// of this tree; and because 60 lines of appending bytes are less than that dependency.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::bullmq {

// Appends to one buffer. Counts are written up front, so the caller announces map and array sizes exactly; MapPacker
// below counts by itself.
class Packer {
public:
    void nil() { out_.push_back('\xc0'); }

    void boolean(bool value) { out_.push_back(value ? '\xc3' : '\xc2'); }

    void integer(std::int64_t value);  // the shortest form
    void number(double value);         // float64; whole numbers that fit go as integers
    void string(std::string_view value);
    void string_head(std::size_t bytes);  // the caller adds them
    void array(std::size_t count);
    void map(std::size_t count);

    void raw(std::string_view packed) { out_.append(packed); }

    const std::string& bytes() const { return out_; }

    std::string take() { return std::move(out_); }

private:
    void big_endian(std::uint64_t value, int bytes);

    std::string out_;
};

// A map whose size is known at the end. Values that are "not set" are simply not added.
class MapPacker {
public:
    void add(std::string_view key, std::string_view value) { next(key).string(value); }

    void add(std::string_view key, const std::string& value) { next(key).string(value); }

    void add(std::string_view key, const char* value) { next(key).string(value); }

    void add(std::string_view key, std::int64_t value) { next(key).integer(value); }

    void add(std::string_view key, double value) { next(key).number(value); }

    void add(std::string_view key, bool value) { next(key).boolean(value); }

    void add_packed(std::string_view key, std::string_view packed) { next(key).raw(packed); }

    std::size_t size() const { return count_; }

    const std::string& members() const { return body_.bytes(); }  // without the map's head

    std::string take();

private:
    Packer& next(std::string_view key);

    std::size_t count_ = 0;
    Packer body_;
};

}  // namespace headrace::bullmq
