#include "check/keys.hpp"

#include "base/ids.hpp"

#include <sodium.h>

#include <cstring>

namespace headrace::check {
namespace {

constexpr std::size_t first_places = 1024;
static_assert(crypto_shorthash_siphashx24_BYTES == 16 && crypto_shorthash_siphashx24_KEYBYTES == 16);

}  // namespace

KeySet::KeySet() {
    random_bytes(secret_.data(), secret_.size());
}

// Where the fingerprint is, or the empty place where it belongs. The low word, read as a fraction of 2^64, chooses the
// start.
std::size_t KeySet::place_of(const Fingerprint& print) const {
    auto at = static_cast<std::size_t>(static_cast<unsigned __int128>(print.low) * places_.size() >> 64);
    while (!places_[at].empty() && places_[at] != print) {
        at = at + 1 == places_.size() ? 0 : at + 1;
    }
    return at;
}

void KeySet::grow() {
    std::vector<Fingerprint> old(places_.empty() ? first_places : places_.size() + places_.size() / 2);
    old.swap(places_);
    for (const auto& print : old) {
        if (!print.empty()) {
            places_[place_of(print)] = print;
        }
    }
}

bool KeySet::insert(std::string_view key) {
    if ((size_ + 1) * 5 > places_.size() * 4) {
        grow();
    }
    Fingerprint print;
    unsigned char hash[16];
    crypto_shorthash_siphashx24(hash, reinterpret_cast<const unsigned char*>(key.data()), key.size(), secret_.data());
    std::memcpy(&print.low, hash, 8);
    std::memcpy(&print.high, hash + 8, 8);
    if (print.empty()) {
        print.high = 1;
    }
    auto& place = places_[place_of(print)];
    if (!place.empty()) {
        return false;
    }
    place = print;
    ++size_;
    return true;
}

}  // namespace headrace::check
