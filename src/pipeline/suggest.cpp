#include "pipeline/suggest.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

namespace headrace::pipeline {
namespace {

constexpr std::size_t longest_word = 64;  // longer ones are no typing mistakes

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool starts_with(std::string_view text, std::string_view start) {
    return text.size() > start.size() &&
           std::equal(start.begin(), start.end(), text.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
                now[j] = std::min(now[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    std::string_view best;
    std::size_t best_distance = longest_word;
    if (word.empty() || word.size() > longest_word) {
        return best;
    }
    for (const auto candidate : known) {
        const auto limit = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
        auto distance = edit_distance(word, candidate);
        if (distance > limit && word.size() >= 3 && (starts_with(candidate, word) || starts_with(word, candidate))) {
            distance = limit;
        }
        if (distance <= limit && distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
    const auto best = nearest(word, known);
    return best.empty() ? std::string() : fmt::format("; did you mean `{}`?", best);
}

std::string one_of(std::span<const std::string_view> known) {
    std::string out;
    for (std::size_t i = 0; i < known.size(); ++i) {
        out += i == 0 ? "" : i + 1 == known.size() ? " or " : ", ";
        out += fmt::format("`{}`", known[i]);
    }
    return out;
}

}  // namespace headrace::pipeline
