#include "pipeline/reader.hpp"

#include "base/text.hpp"
#include "base/units.hpp"
#include "pipeline/secret_words.hpp"
#include "pipeline/suggest.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

namespace headrace::pipeline {
namespace {

using yaml::Node;

constexpr std::size_t most_problems = 100;

std::string wanted(std::string_view what, std::string_view kind, const Node& node) {
    return fmt::format("`{}` must be {}, found {}", what, kind, found(node));
}

bool is_number_text(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// At most 40 bytes, cut between characters.
std::string shorten(std::string_view text) {
    if (text.size() <= 40) {
        return std::string(text);
    }
    auto end = std::size_t{37};
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        --end;
    }
    return std::string(text.substr(0, end)) + "…";
}

std::string plain_bytes(std::uint64_t bytes) {
    static constexpr std::pair<std::uint64_t, const char*> units[] = {
        {1u << 30, "GiB"}, {1u << 20, "MiB"}, {1u << 10, "KiB"}};
    for (const auto& [size, name] : units) {
        if (bytes != 0 && bytes % size == 0) {
            return fmt::format("{}{}", bytes / size, name);
        }
    }
    return fmt::format("{}B", bytes);
}

}  // namespace

std::string Problem::text() const {
    return fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, message);
}

Problems::Problems(std::string file, std::string defaults_file) : files_{std::move(file), std::move(defaults_file)} {}

Place Problems::place(yaml::Mark mark) const {
    return {files_[mark.document == 0 ? 0 : 1], mark.line, mark.column};
}

// A problem is one line, also when a value of the file that it quotes has several.
void Problems::add(yaml::Mark mark, std::string message) {
    std::replace_if(
        message.begin(), message.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' '
    );
    problems_.push_back({place(mark), std::move(message)});
}

void Problems::add(const std::vector<yaml::Fault>& faults) {
    for (const auto& fault : faults) {
        add(fault.mark, fault.message);
    }
}

std::vector<Problem> Problems::take() {
    std::stable_sort(problems_.begin(), problems_.end(), [this](const Problem& a, const Problem& b) {
        return std::make_tuple(a.place.file != files_[0], a.place.line, a.place.column) <
               std::make_tuple(b.place.file != files_[0], b.place.line, b.place.column);
    });
    // A bad value of the defaults is met twice: alone and where it is used.
    problems_.erase(
        std::unique(
            problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) { return a.text() == b.text(); }
        ),
        problems_.end()
    );
    if (problems_.size() > most_problems) {
        const auto more = problems_.size() - most_problems;
        problems_.resize(most_problems);
        problems_.push_back({problems_.back().place, fmt::format("and {} more problems", more)});
    }
    return std::move(problems_);
}

std::string found(const Node& node) {
    switch (node.type) {
        case Node::Type::null:
            return "nothing";
        case Node::Type::list:
            return "a list";
        case Node::Type::map:
            return "a map";
        case Node::Type::scalar:
            break;
    }
    if (node.text.empty()) {
        return "an empty text";
    }
    if (is_secret_value(node.text)) {
        return "a secret";
    }
    const auto text = shorten(std::string_view(node.text).substr(0, node.text.find('\n')));
    return node.plain ? fmt::format("`{}`", text) : fmt::format("the text \"{}\"", text);
}

bool want_map(Problems& problems, const Node& node, std::string_view what) {
    if (!node.is_map()) {
        problems.add(node.mark, wanted(what, "a map (`key: value` lines)", node));
    }
    return node.is_map();
}

std::optional<std::string> want_text(Problems& problems, const Node& node, std::string_view what) {
    if (!node.is_scalar() || node.text.empty()) {
        problems.add(node.mark, node.is_null() ? fmt::format("`{}` has no value", what) : wanted(what, "text", node));
        return std::nullopt;
    }
    return node.text;
}

std::optional<std::int64_t>
want_integer(Problems& problems, const Node& node, std::string_view what, std::int64_t min, std::int64_t max) {
    std::int64_t value = 0;
    const auto& text = node.text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!node.is_scalar() || !node.plain || error != std::errc() || end != text.data() + text.size()) {
        problems.add(node.mark, wanted(what, "a whole number", node));
        return std::nullopt;
    }
    if (value < min || value > max) {
        problems.add(
            node.mark,
            max == INT64_MAX ? fmt::format("`{}` must be at least {}, found `{}`", what, min, value)
                             : fmt::format("`{}` must be {} to {}, found `{}`", what, min, max, value)
        );
        return std::nullopt;
    }
    return value;
}

std::optional<std::string> want_number(Problems& problems, const Node& node, std::string_view what) {
    std::string_view text = node.text;
    const bool share = text.ends_with('%');
    if (share) {
        text.remove_suffix(1);
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (!node.is_scalar() || (!node.plain && !share) || error != std::errc() || end != text.data() + text.size() ||
        !std::isfinite(value)) {
        problems.add(node.mark, wanted(what, "a number such as 0.5, or a share such as 50%", node));
        return std::nullopt;
    }
    return share ? fmt::format("{}", value / 100) : std::string(text);
}

std::optional<bool> want_boolean(Problems& problems, const Node& node, std::string_view what) {
    if (node.is_scalar() && node.plain && (node.text == "true" || node.text == "false")) {
        return node.text == "true";
    }
    problems.add(node.mark, wanted(what, "true or false", node));
    return std::nullopt;
}

std::optional<milliseconds>
want_duration(Problems& problems, const Node& node, std::string_view what, milliseconds min, milliseconds max) {
    const auto text = trimmed(node.text);
    const auto span = node.is_scalar() ? parse_duration(text) : std::nullopt;
    if (!span) {
        problems.add(
            node.mark,
            is_number_text(text) ? fmt::format("`{}: {}` needs a unit: {}s, {}m or {}h", what, text, text, text, text)
                                 : wanted(what, "a duration such as 30s, 10m or 1h30m", node)
        );
        return std::nullopt;
    }
    if (*span < min || *span > max) {
        problems.add(
            node.mark,
            max == milliseconds(INT64_MAX)
                ? fmt::format("`{}` must be at least {}, found `{}`", what, plain_duration(min), text)
                : fmt::format("`{}` must be {} to {}, found `{}`", what, plain_duration(min), plain_duration(max), text)
        );
        return std::nullopt;
    }
    return span;
}

std::optional<std::uint64_t>
want_bytes(Problems& problems, const Node& node, std::string_view what, std::uint64_t min, std::uint64_t max) {
    const auto text = trimmed(node.text);
    const auto bytes = node.is_scalar() ? parse_bytes(text) : std::nullopt;
    if (!bytes || (is_number_text(text) && *bytes != 0)) {
        problems.add(
            node.mark,
            is_number_text(text) ? fmt::format("`{}: {}` needs a unit: {}MiB or {}MB", what, text, text, text)
                                 : wanted(what, "a size such as 64MiB or 10MB", node)
        );
        return std::nullopt;
    }
    if (*bytes < min || *bytes > max) {
        problems.add(
            node.mark,
            max == UINT64_MAX
                ? fmt::format("`{}` must be at least {}, found `{}`", what, plain_bytes(min), text)
                : fmt::format("`{}` must be {} to {}, found `{}`", what, plain_bytes(min), plain_bytes(max), text)
        );
        return std::nullopt;
    }
    return bytes;
}

std::optional<std::string>
want_choice(Problems& problems, const Node& node, std::string_view what, std::span<const std::string_view> choices) {
    const bool known = node.is_scalar() && std::find(choices.begin(), choices.end(), node.text) != choices.end();
    if (known) {
        return node.text;
    }
    problems.add(
        node.mark,
        wanted(what, one_of(choices), node) + (node.is_scalar() ? did_you_mean(node.text, choices) : std::string())
    );
    return std::nullopt;
}

std::optional<std::vector<std::string>> want_texts(Problems& problems, const Node& node, std::string_view what) {
    if (node.is_scalar() && !node.text.empty()) {
        return std::vector<std::string>{node.text};
    }
    if (!node.is_list() || node.items.empty()) {
        problems.add(
            node.mark,
            node.is_list() ? fmt::format("`{}` is an empty list", what) : wanted(what, "a list such as [a, b]", node)
        );
        return std::nullopt;
    }
    std::vector<std::string> out;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        if (auto text = want_text(problems, node.items[i], fmt::format("{}[{}]", what, i))) {
            out.push_back(std::move(*text));
        }
    }
    return out.size() == node.items.size() ? std::optional(std::move(out)) : std::nullopt;
}

void check_keys(
    Problems& problems,
    const Node& map,
    std::string_view where,
    std::span<const std::string_view> known,
    std::span<const Elsewhere> elsewhere
) {
    for (const auto& entry : map.entries) {
        if (std::find(known.begin(), known.end(), entry.key) != known.end()) {
            continue;
        }
        const auto key = shorten(entry.key);
        if (is_secret_name(entry.key)) {
            problems.add(
                entry.mark,
                fmt::format(
                    "`{}`: no secret may be written here; store it with `headrace credential "
                    "set` and name it with `credential: <name>`",
                    key
                )
            );
            continue;
        }
        const auto home =
            std::find_if(elsewhere.begin(), elsewhere.end(), [&](const Elsewhere& e) { return e.key == entry.key; });
        std::string hint;
        if (home != elsewhere.end()) {
            hint = home->home.empty() ? "; it belongs to the top of the file, without indentation"
                                      : fmt::format("; it belongs under `{}:`", home->home);
        } else {
            hint = did_you_mean(entry.key, known);
            if (hint.empty() && !known.empty() && known.size() <= 12) {
                hint = fmt::format("; known here: {}", one_of(known));
            }
        }
        const auto inside = where.empty() ? std::string() : fmt::format(" in `{}`", where);
        problems.add(entry.mark, fmt::format("unknown key `{}`{}{}", key, inside, hint));
    }
}

std::string plain_duration(milliseconds span) {
    static constexpr std::pair<std::int64_t, const char*> units[] = {
        {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}};
    for (const auto& [size, name] : units) {
        if (span.count() != 0 && span.count() % size == 0) {
            return fmt::format("{}{}", span.count() / size, name);
        }
    }
    return span.count() == 0 ? "0s" : fmt::format("{}ms", span.count());
}

}  // namespace headrace::pipeline
