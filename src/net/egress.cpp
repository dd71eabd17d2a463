#include "net/egress.hpp"

#include "base/error.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace headrace::net {
namespace {

using Bytes16 = std::array<unsigned char, 16>;

constexpr std::uint16_t usual_ports[] = {80, 443, 8123, 8443};

// Whoever answers there is no public service. IANA's special-purpose registries, and what hides an IPv4 address.
constexpr std::string_view special[] = {
    "0.0.0.0/8",      "10.0.0.0/8",   "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",   "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",  "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",  "240.0.0.0/4",    "::/96",          "64:ff9b::/96",   "64:ff9b:1::/48",
    "100::/64",       "2001::/23",    "2001:db8::/32",  "2002::/16",      "fc00::/7",       "fe80::/10",
    "fec0::/10",      "ff00::/8"};

std::optional<Bytes16> parse_address(const std::string& text, int& offset) {
    Bytes16 out{};
    if (::inet_pton(AF_INET, text.c_str(), out.data() + 12) == 1) {
        out[10] = out[11] = 0xff;
        offset = 96;
        return out;
    }
    offset = 0;
    return ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1 ? std::optional(out) : std::nullopt;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, Number most) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool good = error == std::errc() && end == text.data() + text.size() && value <= most;
    return good ? std::optional(value) : std::nullopt;
}

// The address and how many of its bits count.
std::optional<std::pair<Bytes16, int>> parse_range(std::string_view word) {
    const auto slash = word.find('/');
    int offset = 0;
    const auto address = parse_address(std::string(word.substr(0, slash)), offset);
    const int most = 128 - offset;
    const auto bits =
        slash == std::string_view::npos ? std::optional(most) : parse_number(word.substr(slash + 1), most);
    return address && bits && *bits >= 0 ? std::optional(std::pair(*address, *bits + offset)) : std::nullopt;
}

bool within(const unsigned char* address, const unsigned char* range, int bits) {
    const auto whole = static_cast<std::size_t>(bits / 8);
    if (std::memcmp(address, range, whole) != 0) {
        return false;
    }
    const auto mask = static_cast<unsigned char>(0xff00 >> (bits % 8));
    return (address[whole % 16] & mask) == (range[whole % 16] & mask) || bits % 8 == 0;
}

}  // namespace

Egress Egress::parse(std::string_view text) {
    Egress out;
    constexpr std::string_view between = " ,\t\n";
    while (true) {
        text.remove_prefix(std::min(text.find_first_not_of(between), text.size()));
        if (text.empty()) {
            return out;
        }
        const auto word = text.substr(0, text.find_first_of(between));
        text.remove_prefix(word.size());
        if (word.starts_with(':') && !word.starts_with("::")) {
            const auto port = parse_number<std::uint16_t>(word.substr(1), 65535);
            if (port && *port > 0) {
                out.ports_.push_back(*port);
                continue;
            }
        } else if (const auto range = parse_range(word)) {
            Range one{};
            std::copy(range->first.begin(), range->first.end(), std::begin(one.bytes));
            one.bits = range->second;
            out.allowed_.push_back(one);
            continue;
        }
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            "`" + std::string(word.substr(0, 60)) + "` is no address, range (10.1.0.0/16) or port (:8444)"
        );
    }
}

bool Egress::allows(const sockaddr* address) const {
    Bytes16 bytes{};
    std::uint16_t port = 0;
    if (address->sa_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, address, sizeof v4);
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes.data() + 12, &v4.sin_addr, 4);
        port = ntohs(v4.sin_port);
    } else if (address->sa_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, address, sizeof v6);
        std::memcpy(bytes.data(), &v6.sin6_addr, 16);
        port = ntohs(v6.sin6_port);
    } else {
        return false;
    }
    for (const auto& range : allowed_) {
        if (within(bytes.data(), range.bytes, range.bits)) {
            return true;
        }
    }
    for (const auto word : special) {
        const auto range = parse_range(word);
        if (within(bytes.data(), range->first.data(), range->second)) {
            return false;
        }
    }
    return std::find(std::begin(usual_ports), std::end(usual_ports), port) != std::end(usual_ports) ||
           std::find(ports_.begin(), ports_.end(), port) != ports_.end();
}

}  // namespace headrace::net
