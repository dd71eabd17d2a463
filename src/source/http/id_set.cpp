#include "source/http/id_set.hpp"

#include <algorithm>

namespace headrace::source::http {
namespace {

constexpr std::size_t most_listed = 4096;  // of 2 bytes: as large as a bitmap

}  // namespace

bool IdSet::insert(std::int64_t id) {
    const auto bits = static_cast<std::uint64_t>(id);
    auto& [list, bitmap] = containers_[bits >> 16];
    const auto low = static_cast<std::uint16_t>(bits);
    if (bitmap.empty()) {
        const auto at = std::lower_bound(list.begin(), list.end(), low);
        if (at != list.end() && *at == low) {
            return false;
        }
        if (list.size() < most_listed) {
            list.insert(at, low);
            ++size_;
            return true;
        }
        bitmap.assign(1024, 0);
        for (const auto one : list) {
            bitmap[one / 64] |= std::uint64_t{1} << (one % 64);
        }
        list = {};
    }
    auto& word = bitmap[low / 64];
    const auto bit = std::uint64_t{1} << (low % 64);
    const bool fresh = (word & bit) == 0;
    word |= bit;
    size_ += fresh ? 1 : 0;
    return fresh;
}

bool IdSet::contains(std::int64_t id) const {
    const auto bits = static_cast<std::uint64_t>(id);
    const auto found = containers_.find(bits >> 16);
    if (found == containers_.end()) {
        return false;
    }
    const auto& [list, bitmap] = found->second;
    const auto low = static_cast<std::uint16_t>(bits);
    return bitmap.empty() ? std::binary_search(list.begin(), list.end(), low)
                          : (bitmap[low / 64] >> (low % 64) & 1) != 0;
}

}  // namespace headrace::source::http
