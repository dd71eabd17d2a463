#include "base/hash.hpp"

#include <cstring>

namespace headrace {
namespace {

std::uint64_t load(const char* from) {
    std::uint64_t word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

}  // namespace

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const auto product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t hash_of(std::string_view bytes) {
    constexpr std::uint64_t one = 0xa0761d6478bd642f;
    constexpr std::uint64_t two = 0xe7037ed1a0b428db;
    std::uint64_t hash = one ^ bytes.size();
    while (bytes.size() >= 16) {
        hash = fold(load(bytes.data()) ^ two, load(bytes.data() + 8) ^ hash);
        bytes.remove_prefix(16);
    }
    char rest[16] = {};
    std::memcpy(rest, bytes.data(), bytes.size());
    return fold(load(rest) ^ two, load(rest + 8) ^ hash);
}

}  // namespace headrace
