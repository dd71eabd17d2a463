#include "base/ids.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>

namespace headrace {
namespace {

std::string format_uuid(const std::array<unsigned char, 16>& b) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(36);
    for (std::size_t i = 0; i < b.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            out += '-';
        }
        out += digits[b[i] >> 4];
        out += digits[b[i] & 15];
    }
    return out;
}

std::string make_uuid(unsigned version, bool timed) {
    std::array<unsigned char, 16> b;
    random_bytes(b.data(), b.size());
    if (timed) {
        auto ms = static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
                .count()
        );
        for (std::size_t i = 0; i < 6; ++i) {
            b[i] = static_cast<unsigned char>(ms >> (8 * (5 - i)));
        }
    }
    b[6] = static_cast<unsigned char>((b[6] & 0x0f) | (version << 4));
    b[8] = static_cast<unsigned char>((b[8] & 0x3f) | 0x80);
    return format_uuid(b);
}

}  // namespace

void random_bytes(void* to, std::size_t count) {
    auto* at = static_cast<unsigned char*>(to);
    while (count > 0) {
        auto got = ::getrandom(at, count, 0);
        if (got <= 0) {
            throw Error(ErrorKind::bug, "internal.bug", "getrandom failed");
        }
        at += got;
        count -= static_cast<std::size_t>(got);
    }
}

std::string make_uuid_v7() {
    return make_uuid(7, true);
}

std::string make_uuid_v4() {
    return make_uuid(4, false);
}

bool is_uuid(std::string_view text) {
    if (text.size() != 36) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) {
            return false;
        }
    }
    return true;
}

std::string random_token(std::size_t bytes) {
    std::string raw(bytes, '\0');
    random_bytes(raw.data(), raw.size());
    return base64url_encode(raw);
}

}  // namespace headrace
