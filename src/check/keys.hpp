// A set of 128-bit fingerprints of keys, for `unique`. 16 bytes per place, at most 4/5 full; grows by half. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace headrace::check {

class KeySet {
public:
    KeySet();  // draws a secret: nobody can prepare keys that collide

    // False when the key was there already. Two different keys count as one with a probability below 2^-80 at 10
    // million.
    bool insert(std::string_view key);

    std::size_t size() const { return size_; }

    std::size_t memory() const { return places_.size() * sizeof(Fingerprint); }

private:
    struct Fingerprint {
        std::uint64_t low = 0;
        std::uint64_t high = 0;

        bool empty() const { return low == 0 && high == 0; }

        bool operator==(const Fingerprint&) const = default;
    };

    std::size_t place_of(const Fingerprint& print) const;
    void grow();

    std::array<unsigned char, 16> secret_{};
    std::vector<Fingerprint> places_;
    std::size_t size_ = 0;
};

}  // namespace headrace::check
