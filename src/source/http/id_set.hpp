// A set of 64-bit ids that costs about 2 bytes an id when they lie near each other, as ids of one service do: 65,536
// neighbours share a container, a sorted list that becomes a bitmap. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace headrace::source::http {

class IdSet {
public:
    bool insert(std::int64_t id);  // false: it is there already
    bool contains(std::int64_t id) const;

    std::uint64_t size() const { return size_; }

private:
    struct Container {
        std::vector<std::uint16_t> list;    // sorted; empty once there is a bitmap
        std::vector<std::uint64_t> bitmap;  // 1024 words, or none
    };

    std::unordered_map<std::uint64_t, Container> containers_;
    std::uint64_t size_ = 0;
};

}  // namespace headrace::source::http
