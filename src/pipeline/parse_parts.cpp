#include "pipeline/parse_parts.hpp"

#include "pipeline/secret_words.hpp"
#include "pipeline/suggest.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace headrace::pipeline {
namespace {

using yaml::Entry;
using yaml::Mark;
using yaml::Node;

// Keys of the top of the file that get indented by mistake.
constexpr Elsewhere keys_of_the_top[] = {
    {"schedule", ""},
    {"columns", ""},
    {"transform", ""},
    {"checks", ""},
    {"sinks", ""},
    {"allow_empty", ""},
    {"retry", ""},
    {"timeout", ""},
    {"limits", ""},
    {"fresh_within", ""},
    {"enabled", ""},
    {"owner", ""},
    {"tags", ""},
    {"description", ""}};

std::vector<std::string_view> names_of(const std::vector<PartType>& types) {
    std::vector<std::string_view> names;
    for (const auto& type : types) {
        names.push_back(type.name);
    }
    return names;
}

std::vector<std::string_view> option_names(const PartType& type) {
    std::vector<std::string_view> names;
    for (const auto& spec : *type.options) {
        names.push_back(spec.name);
    }
    return names;
}

bool has_option(const Options& options, std::string_view name) {
    return options.has(name) || options.lists.find(name) != options.lists.end();
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               std::string_view::npos;
}

}  // namespace

std::vector<PartType> source_types(const Registry& registry) {
    std::vector<PartType> out;
    for (const auto& type : registry.sources()) {
        out.push_back({type.name, &type.options, type.needs_credential});
    }
    return out;
}

std::vector<PartType> sink_types(const Registry& registry) {
    std::vector<PartType> out;
    for (const auto& type : registry.sinks()) {
        out.push_back({type.name, &type.options, type.needs_credential});
    }
    return out;
}

std::vector<PartType> transform_types(const Registry& registry) {
    std::vector<PartType> out;
    for (const auto& type : registry.transforms()) {
        out.push_back({type.name, &type.options, false});
    }
    return out;
}

std::vector<PartType> check_types(const Registry& registry) {
    std::vector<PartType> out;
    for (const auto& type : registry.checks()) {
        out.push_back({type.name, &type.options, false});
    }
    return out;
}

const PartType* PartReader::type_named(const Node& node, std::string_view what, const std::vector<PartType>& types) {
    const auto names = names_of(types);
    const auto word = want_choice(problems_, node, what, names);
    if (!word) {
        return nullptr;
    }
    return &*std::find_if(types.begin(), types.end(), [&](const PartType& type) { return type.name == *word; });
}

Part PartReader::connector(const Node& node, std::string_view what, const std::vector<PartType>& types) {
    Part part;
    part.options.place = problems_.place(node.mark);
    if (!want_map(problems_, node, what)) {
        return part;
    }
    const auto* type_node = node.find("type");
    if (type_node == nullptr) {
        problems_.add(node.mark, fmt::format("`{}` has no `type:`; it is {}", what, one_of(names_of(types))));
        return part;
    }
    const auto* type = type_named(*type_node, fmt::format("{}.type", what), types);
    if (type == nullptr) {
        return part;
    }
    part.type = type->name;
    part.options.place = problems_.place(type_node->mark);
    if (const auto* credential = node.find("credential"); credential != nullptr) {
        if (const auto name = want_text(problems_, *credential, fmt::format("{}.credential", what));
            name && is_name(*name)) {
            part.credential = *name;
        } else if (name) {
            problems_.add(
                credential->mark,
                fmt::format(
                    "`{}.credential` is the name of a stored credential: letters, digits "
                    "and _ . - only",
                    what
                )
            );
        }
    } else if (type->needs_credential) {
        problems_.add(type_node->mark, fmt::format("`{}` of type {} needs `credential: <name>`", what, type->name));
    }
    auto known = option_names(*type);
    known.insert(known.begin(), {"type", "credential"});
    check_keys(problems_, node, what, known, keys_of_the_top);
    headers_ = true;
    options_of_map(node, std::string(what), *type, part.options);
    headers_ = false;
    complete(*type, fmt::format("`{}` of type {}", what, type->name), type_node->mark, part.options);
    return part;
}

Part PartReader::step(const Node& node, std::string_view what, const std::vector<PartType>& types) {
    if (node.is_map() && node.entries.size() == 1) {
        return step(node.entries.front(), what, types);
    }
    if (node.is_scalar()) {
        Entry entry{node.text, node.mark, {}};
        entry.value.mark = node.mark;
        return step(entry, what, types);
    }
    if (node.is_map() && node.entries.size() > 1) {
        std::string keys;
        for (const auto& entry : node.entries) {
            keys += (keys.empty() ? "`" : ", `") + entry.key + "`";
        }
        problems_.add(
            node.mark,
            fmt::format(
                "one step of `{}` has one key, found {}: begin each step with `- `, and indent "
                "the options of a step below it",
                what,
                keys
            )
        );
    } else {
        problems_.add(node.mark, fmt::format("a step of `{}` looks like `- name: value`, found {}", what, found(node)));
    }
    return {};
}

Part PartReader::step(const Entry& entry, std::string_view what, const std::vector<PartType>& types) {
    Part part;
    part.options.place = problems_.place(entry.mark);
    const auto found_type =
        std::find_if(types.begin(), types.end(), [&](const PartType& t) { return t.name == entry.key; });
    if (found_type == types.end()) {
        const auto names = names_of(types);
        auto hint = did_you_mean(entry.key, names);
        problems_.add(
            entry.mark,
            fmt::format(
                "unknown step `{}` in `{}`{}",
                entry.key,
                what,
                hint.empty() ? fmt::format("; it is {}", one_of(names)) : hint
            )
        );
        return part;
    }
    const auto* type = &*found_type;
    part.type = type->name;
    const auto name = fmt::format("{}.{}", what, type->name);
    const auto& value = entry.value;
    const auto& specs = *type->options;
    if (specs.empty()) {
        if (!value.is_null()) {
            problems_.add(value.mark, fmt::format("`{}` takes no options, found {}", name, found(value)));
        }
        return part;
    }
    const auto& first = specs.front();
    const bool is_map_of_options = value.is_map() && (first.kind != OptionKind::text_map ||
                                                      (specs.size() > 1 && value.find(first.name) != nullptr));
    if (is_map_of_options) {
        check_keys(problems_, value, name, option_names(*type));
        options_of_map(value, name, *type, part.options);
    } else if (!value.is_null()) {
        option(value, name, first, part.options);
    }
    complete(*type, fmt::format("`{}`", name), entry.mark, part.options);
    return part;
}

void PartReader::options_of_map(const Node& map, const std::string& what, const PartType& type, Options& out) {
    for (const auto& spec : *type.options) {
        if (const auto* value = map.find(spec.name); value != nullptr) {
            option(*value, fmt::format("{}.{}", what, spec.name), spec, out);
        }
    }
}

// A value that is wrong is kept as "" so that it is not reported as missing too.
void PartReader::option(const Node& node, const std::string& what, const OptionSpec& spec, Options& out) {
    const std::string name(spec.name);
    auto& value = out.values[name];
    switch (spec.kind) {
        case OptionKind::text:
        case OptionKind::sql:
            value = want_text(problems_, node, what).value_or("");
            return;
        case OptionKind::integer:
            value = std::to_string(want_integer(problems_, node, what, 0).value_or(0));
            return;
        case OptionKind::number:
            value = want_number(problems_, node, what).value_or("");
            return;
        case OptionKind::boolean:
            value = want_boolean(problems_, node, what).value_or(false) ? "true" : "false";
            return;
        case OptionKind::duration:
            value = std::to_string(want_duration(problems_, node, what).value_or(milliseconds(0)).count());
            return;
        case OptionKind::bytes:
            value = std::to_string(want_bytes(problems_, node, what).value_or(0));
            return;
        case OptionKind::choice:
            value = want_choice(problems_, node, what, spec.choices).value_or("");
            return;
        case OptionKind::text_list:
            out.values.erase(name);
            out.lists[name] = want_texts(problems_, node, what).value_or(std::vector<std::string>());
            return;
        case OptionKind::text_map:
            out.values.erase(name);
            text_map(node, what, spec, out);
            return;
    }
}

void PartReader::text_map(const Node& node, const std::string& what, const OptionSpec& spec, Options& out) {
    auto& pairs = out.lists[std::string(spec.name)];
    if (!node.is_map() || node.entries.empty()) {
        problems_.add(node.mark, fmt::format("`{}` must be a map such as {{a: b}}, found {}", what, found(node)));
        return;
    }
    for (const auto& entry : node.entries) {
        if (headers_ && spec.name != "columns" && is_secret_name(entry.key)) {
            problems_.add(
                entry.mark,
                fmt::format(
                    "`{}.{}`: no secret may be written here; store it with `headrace credential "
                    "set` and name it with `credential: <name>`",
                    what,
                    entry.key
                )
            );
            continue;
        }
        if (auto text = want_text(problems_, entry.value, fmt::format("{}.{}", what, entry.key))) {
            pairs.push_back(entry.key);
            pairs.push_back(std::move(*text));
        }
    }
}

void PartReader::complete(const PartType& type, const std::string& what, Mark mark, Options& out) {
    for (const auto& spec : *type.options) {
        if (has_option(out, spec.name)) {
            continue;
        }
        const auto& needed = spec.needed_for;
        const auto chosen = needed.option.empty() ? std::string() : out.get(needed.option);
        if (spec.required) {
            problems_.add(mark, fmt::format("{} needs `{}`: {}", what, spec.name, spec.help));
        } else if (std::find(needed.values.begin(), needed.values.end(), chosen) != needed.values.end()) {
            problems_.add(
                mark, fmt::format("{} with `{}: {}` needs `{}`: {}", what, needed.option, chosen, spec.name, spec.help)
            );
        } else if (!spec.default_value.empty()) {
            add_default(spec, out);
        }
    }
}

// A default that is not a value of its kind is a remark for the reader ("the pipeline's name") and is left out.
void PartReader::add_default(const OptionSpec& spec, Options& out) {
    Node node;
    node.type = Node::Type::scalar;
    node.plain = true;
    node.text = spec.default_value;
    if (const auto at = node.text.find("<pipeline>"); at != std::string::npos) {
        node.text.replace(at, 10, pipeline_);
    }
    if (spec.kind == OptionKind::text_list || spec.kind == OptionKind::text_map ||
        (spec.kind == OptionKind::text && node.text.find_first_of("< ") != std::string::npos)) {
        return;
    }
    Problems ignored("");
    PartReader reader(ignored, pipeline_);
    Options one;
    reader.option(node, "", spec, one);
    if (ignored.empty()) {
        out.values.merge(one.values);
    }
}

}  // namespace headrace::pipeline
