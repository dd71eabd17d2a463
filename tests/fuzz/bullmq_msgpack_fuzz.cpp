// libFuzzer: any JSON as MessagePack. The bytes must be one whole value, with nothing behind it.
#include "bullmq/msgpack.hpp"
#include "bullmq/options.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

std::size_t number(std::string_view& in, std::size_t count) {
    if (in.size() < count) {
        std::abort();
    }
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        value = value << 8 | static_cast<std::uint8_t>(in[i]);
    }
    in.remove_prefix(count);
    return value;
}

// Takes one value off the front; knows the forms that the packer may choose, and aborts at any other.
void skip(std::string_view& in) {
    const auto first = static_cast<std::uint8_t>(number(in, 1));
    std::size_t bytes = 0;
    std::size_t values = 0;
    if (first <= 0x7f || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3) {
        return;
    }
    if (first >= 0xa0 && first <= 0xbf) {
        bytes = first & 0x1fU;
    } else if (first >= 0xd9 && first <= 0xdb) {
        bytes = number(in, std::size_t{1} << (first - 0xd9));
    } else if (first >= 0xcc && first <= 0xcf) {
        bytes = std::size_t{1} << (first - 0xcc);
    } else if (first >= 0xd0 && first <= 0xd3) {
        bytes = std::size_t{1} << (first - 0xd0);
    } else if (first == 0xcb) {
        bytes = 8;
    } else if (first >= 0x90 && first <= 0x9f) {
        values = first & 0x0fU;
    } else if (first >= 0x80 && first <= 0x8f) {
        values = 2 * (first & 0x0fU);
    } else if (first == 0xdc || first == 0xdd) {
        values = number(in, first == 0xdc ? 2 : 4);
    } else if (first == 0xde || first == 0xdf) {
        values = 2 * number(in, first == 0xde ? 2 : 4);
    } else {
        std::abort();
    }
    if (in.size() < bytes) {
        std::abort();
    }
    in.remove_prefix(bytes);
    for (; values > 0; --values) {
        skip(in);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    boost::system::error_code error;
    const auto value = boost::json::parse({reinterpret_cast<const char*>(bytes), size}, error);
    if (error) {
        return 0;
    }
    const auto packed = headrace::bullmq::pack_json(value);
    std::string_view rest(packed);
    skip(rest);
    if (!rest.empty()) {
        std::abort();
    }
    headrace::bullmq::MapPacker map;
    map.add_packed("value", packed);
    const auto whole = map.take();
    rest = whole;
    skip(rest);
    if (!rest.empty()) {
        std::abort();
    }
    return 0;
}
