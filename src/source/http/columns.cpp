#include "source/http/columns.hpp"

#include "base/text.hpp"

#include <charconv>

namespace headrace::source::http {
namespace {

std::optional<std::string> without_tildes(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '~') {
            out += text[i];
        } else if (++i < text.size() && (text[i] == '0' || text[i] == '1')) {
            out += text[i] == '0' ? '~' : '/';
        } else {
            return std::nullopt;
        }
    }
    return out;
}

std::optional<Step> parse_step(std::string_view text) {
    Step step;
    if (text.starts_with('[') && text.ends_with(']')) {
        text = text.substr(1, text.size() - 2);
        const auto equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            return std::nullopt;
        }
        step.key = text.substr(0, equals);
        step.value = text.substr(equals + 1);
        return step;
    }
    auto name = without_tildes(text);
    if (!name) {
        return std::nullopt;
    }
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error == std::errc() && end == text.data() + text.size()) {
        step.index = index;
    }
    step.name = std::move(*name);
    return step;
}

std::optional<data::Field> parse_word(std::string_view word, Form& form) {
    const bool required = word.ends_with('!');
    const auto bare = word.substr(0, word.size() - (required ? 1 : 0));
    data::Field field;
    field.nullable = !required;
    if (bare == "list") {
        form = Form::list;
        field.kind = data::Kind::json;
        return field;
    }
    if (bare == "epoch" || bare == "epoch_ms") {
        form = bare == "epoch" ? Form::epoch : Form::epoch_ms;
        field.kind = data::Kind::timestamp;
        return field;
    }
    return data::parse_type(word);
}

}  // namespace

std::optional<std::vector<Step>> parse_path(std::string_view text) {
    std::vector<Step> out;
    while (!text.empty()) {
        if (text.front() != '/') {
            return std::nullopt;
        }
        text.remove_prefix(1);
        // A value may hold a slash: [url=https://x]
        const auto closed = text.starts_with('[') ? text.find(']') : std::size_t{0};
        const auto end = closed == std::string_view::npos ? closed : text.find('/', closed);
        auto step = parse_step(text.substr(0, end));
        if (!step) {
            return std::nullopt;
        }
        out.push_back(std::move(*step));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end);
    }
    return out;
}

std::optional<ColumnPlan> parse_column(std::string_view name, std::string_view text) {
    text = trimmed(text);
    // "decimal(12, 2) /price": the type ends where the pointer begins.
    const auto slash = text.find_first_of(" \t/", text.find(')') == std::string_view::npos ? 0 : text.find(')'));
    const auto word = trimmed(text.substr(0, slash));
    const auto pointer = slash == std::string_view::npos ? std::string_view() : trimmed(text.substr(slash));
    ColumnPlan out;
    const auto field = parse_word(word, out.form);
    if (!field) {
        return std::nullopt;
    }
    out.field = *field;
    out.field.name = name;
    if (pointer.empty()) {
        out.path = {Step{std::string(name), std::nullopt, {}, {}}};
    } else if (pointer != ".") {
        auto path = parse_path(pointer);
        if (!path) {
            return std::nullopt;
        }
        out.path = std::move(*path);
    }
    return out;
}

data::Schema schema_of(const Columns& columns) {
    data::Schema out;
    for (const auto& column : columns) {
        out.fields.push_back(column.field);
    }
    return out;
}

}  // namespace headrace::source::http
