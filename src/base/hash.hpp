// A quick hash of bytes, to notice that two texts differ: 16 bytes a step, folded by a 128-bit product. No shield
// against somebody who wants a collision, and not stable between versions: never stored.
#pragma once

#include <cstdint>
#include <string_view>

namespace headrace {

// The two halves of the product of both, xor'd.
std::uint64_t fold(std::uint64_t a, std::uint64_t b);
std::uint64_t hash_of(std::string_view bytes);

}  // namespace headrace
