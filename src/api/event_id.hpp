// Ids of a Redis stream, "1795287948075-3": ordered, so that a client can go on where it stopped.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::api {

struct EventId {
    std::uint64_t millis = 0;
    std::uint64_t sequence = 0;

    auto operator<=>(const EventId&) const = default;

    std::string text() const { return std::to_string(millis) + "-" + std::to_string(sequence); }

    // Both numbers are wanted; nullopt for anything else.
    static std::optional<EventId> parse(std::string_view text) {
        EventId id;
        const auto* end = text.data() + text.size();
        const auto first = std::from_chars(text.data(), end, id.millis);
        if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') {
            return std::nullopt;
        }
        const auto second = std::from_chars(first.ptr + 1, end, id.sequence);
        return second.ec == std::errc() && second.ptr == end ? std::optional(id) : std::nullopt;
    }
};

}  // namespace headrace::api
