#include "pipeline/parse.hpp"

#include "base/error.hpp"
#include "pipeline/parse_incremental.hpp"
#include "pipeline/parse_parts.hpp"
#include "pipeline/parse_running.hpp"
#include "pipeline/parse_schedule.hpp"
#include "pipeline/reader.hpp"
#include "pipeline/secret_words.hpp"
#include "pipeline/yaml.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace headrace::pipeline {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using yaml::Node;

constexpr std::string_view top_keys[] = {
    "version",
    "name",
    "description",
    "owner",
    "tags",
    "enabled",
    "schedule",
    "source",
    "incremental",
    "columns",
    "transform",
    "checks",
    "sinks",
    "allow_empty",
    "on_reject",
    "retry",
    "timeout",
    "limits",
    "fresh_within"};
constexpr std::string_view defaults_keys[] = {"retry", "timeout", "limits", "owner", "tags", "schedule"};
constexpr std::string_view defaults_schedule_keys[] = {"timezone"};

// Keys that people write at the top of the file.
constexpr Elsewhere nested_keys[] = {
    {"cron", "schedule"},
    {"timezone", "schedule"},
    {"jitter", "schedule"},
    {"catchup", "schedule"},
    {"overlap", "schedule"},
    {"catchup_window", "schedule"},
    {"attempts", "retry"},
    {"backoff", "retry"},
    {"memory", "limits"},
    {"query", "source"},
    {"credential", "source"},
    {"type", "source"},
    {"cursor", "incremental"},
    {"lag", "incremental"},
    {"min_rows", "checks"},
    {"max_drop", "checks"},
    {"key", "sinks"},
    {"ttl", "sinks"}};

constexpr Elsewhere not_in_defaults[] = {
    {"timezone", "schedule"},
    {"attempts", "retry"},
    {"backoff", "retry"},
    {"memory", "limits"}};

bool is_pipeline_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 &&
           text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               std::string_view::npos;
}

// "pipelines/ch.top_dests.yaml" → "ch.top_dests"; "" when the file is no .yaml.
std::string_view stem_of(std::string_view file) {
    file = file.substr(file.find_last_of('/') + 1);
    return file.ends_with(".yaml") ? file.substr(0, file.size() - 5) : std::string_view();
}

std::string defaults_path(std::string_view file) {
    return std::string(file.substr(0, file.find_last_of('/') + 1)) + "_defaults.yaml";
}

// `schedule: "*/5 * * * *"` is short for `schedule: {cron: "*/5 * * * *"}`.
void expand_schedule(Node& root) {
    for (auto& entry : root.entries) {
        if (entry.key == "schedule" && entry.value.is_scalar()) {
            Node map;
            map.type = Node::Type::map;
            map.mark = entry.value.mark;
            map.entries.push_back({"cron", entry.value.mark, std::move(entry.value)});
            entry.value = std::move(map);
        }
    }
}

// What the file does not say comes from the defaults, key by key; the schedule's zone only where there is a schedule.
void merge_defaults(Node& root, const Node& defaults) {
    for (const auto& entry : defaults.entries) {
        if (std::find(std::begin(defaults_keys), std::end(defaults_keys), entry.key) == std::end(defaults_keys)) {
            continue;
        }
        const auto own = std::find_if(root.entries.begin(), root.entries.end(), [&](const yaml::Entry& e) {
            return e.key == entry.key;
        });
        if (own == root.entries.end()) {
            if (entry.key != "schedule") {
                root.entries.push_back(entry);
            }
        } else if (own->value.is_map() && entry.value.is_map()) {
            for (const auto& item : entry.value.entries) {
                if (own->value.find(item.key) == nullptr) {
                    own->value.entries.push_back(item);
                }
            }
        }
    }
}

class DefinitionReader {
public:
    DefinitionReader(Problems& problems, const Registry& registry, Definition& out)
        : problems_(problems), registry_(registry), out_(out) {}

    void read(const Node& root, std::string_view stem) {
        check_keys(problems_, root, "", top_keys, nested_keys);
        read_secret_values(root);
        read_identity(root, stem);
        read_running(problems_, root, out_);
        if (const auto* node = root.find("schedule")) {
            read_schedule(problems_, *node, out_);
        }
        PartReader parts(problems_, out_.name);
        read_source(root, parts);
        if (const auto* node = root.find("on_reject"); node != nullptr && want_map(problems_, *node, "on_reject")) {
            read_on_reject(problems_, *node, out_);
        }
        if (const auto* node = root.find("columns")) {
            out_.columns = read_columns(problems_, *node);
        }
        read_steps(root, "transform", parts, transform_types(registry_), out_.transforms);
        read_steps(root, "checks", parts, check_types(registry_), out_.checks);
        read_sinks(root, parts);
        if (const auto* node = root.find("incremental")) {
            read_incremental(problems_, *node, registry_, out_);
        }
    }

private:
    void read_identity(const Node& root, std::string_view stem) {
        if (const auto* node = root.find("version")) {
            out_.version = static_cast<int>(want_integer(problems_, *node, "version", 1, 1).value_or(1));
        }
        if (const auto* node = root.find("name"); node == nullptr) {
            problems_.add(
                root.mark,
                fmt::format(
                    "`name` is missing{}", stem.empty() ? std::string() : fmt::format("; write `name: {}`", stem)
                )
            );
        } else if (const auto name = want_text(problems_, *node, "name")) {
            out_.name = *name;
            if (!is_pipeline_name(*name)) {
                problems_.add(
                    node->mark, fmt::format("`name` has 1 to 64 letters, digits and _ . -, found {}", found(*node))
                );
            } else if (!stem.empty() && *name != stem) {
                problems_.add(
                    node->mark, fmt::format("`name` must be that of the file: `{}`, found `{}`", stem, *name)
                );
            }
        }
        if (const auto* node = root.find("description")) {
            out_.description = want_text(problems_, *node, "description").value_or("");
        }
        if (const auto* node = root.find("enabled")) {
            out_.enabled = want_boolean(problems_, *node, "enabled").value_or(true);
        }
        if (const auto* node = root.find("allow_empty")) {
            out_.allow_empty = want_boolean(problems_, *node, "allow_empty").value_or(false);
        }
        if (const auto* node = root.find("fresh_within")) {
            out_.fresh_within = want_duration(problems_, *node, "fresh_within", seconds(1), hours(24 * 366));
        }
    }

    void read_source(const Node& root, PartReader& parts) {
        if (const auto* node = root.find("source")) {
            out_.source = parts.connector(*node, "source", source_types(registry_));
        } else {
            problems_.add(root.mark, "`source` is missing: where do the rows come from?");
        }
    }

    void read_steps(
        const Node& root,
        const char* key,
        PartReader& parts,
        const std::vector<PartType>& types,
        std::vector<Part>& out
    ) {
        const auto* node = root.find(key);
        if (node == nullptr) {
            return;
        }
        const bool is_checks = std::string_view(key) == "checks";
        if (node->is_map() && is_checks) {  // checks have no order: one map will do
            for (const auto& entry : node->entries) {
                out.push_back(parts.step(entry, key, types));
            }
        } else if (node->is_list()) {
            for (const auto& item : node->items) {
                out.push_back(parts.step(item, key, types));
            }
        } else {
            problems_.add(
                node->mark,
                fmt::format(
                    "`{}` must be a list of steps such as `- {}`, found {}",
                    key,
                    is_checks ? "min_rows: 10" : "drop: [column]",
                    found(*node)
                )
            );
        }
    }

    void read_sinks(const Node& root, PartReader& parts) {
        const auto* node = root.find("sinks");
        const auto types = sink_types(registry_);
        if (node == nullptr) {
            problems_.add(root.mark, "`sinks` is missing: where do the rows go?");
        } else if (node->is_map()) {
            out_.sinks.push_back(parts.connector(*node, "sinks", types));
        } else if (node->is_list() && !node->items.empty()) {
            for (std::size_t i = 0; i < node->items.size(); ++i) {
                out_.sinks.push_back(parts.connector(node->items[i], fmt::format("sinks[{}]", i), types));
            }
        } else {
            problems_.add(
                node->mark,
                fmt::format(
                    "`sinks` must be a list of at least one sink, found {}",
                    node->is_list() ? "an empty list" : found(*node)
                )
            );
        }
        if (problems_.empty() && node != nullptr) {
            check_outputs(*node);
        }
    }

    // Two sinks with one output would overwrite each other.
    void check_outputs(const Node& node) {
        std::map<std::string, std::size_t> seen;
        for (std::size_t i = 0; i < out_.sinks.size(); ++i) {
            for (const auto& type : registry_.sinks()) {
                if (type.name != out_.sinks[i].type || !type.output_name) {
                    continue;
                }
                const auto mark = node.is_list() ? node.items[i].mark : node.mark;
                try {
                    const auto name = type.output_name(out_, out_.sinks[i]);
                    const auto [first, fresh] = seen.emplace(name, i);
                    if (!fresh) {
                        problems_.add(
                            mark,
                            fmt::format("sinks[{}] and sinks[{}] write to the same output, {}", first->second, i, name)
                        );
                    }
                } catch (const Error& e) {  // options that do not go together
                    problems_.add(mark, e.message());
                }
            }
        }
    }

    void read_secret_values(const Node& node) {
        if (node.is_scalar() && is_secret_value(node.text)) {
            problems_.add(
                node.mark,
                "this looks like a secret; store it with `headrace credential set` and name it with "
                "`credential: <name>`"
            );
        }
        for (const auto& item : node.items) {
            read_secret_values(item);
        }
        for (const auto& entry : node.entries) {
            read_secret_values(entry.value);
        }
    }

    Problems& problems_;
    const Registry& registry_;
    Definition& out_;
};

Node read_defaults(std::string_view text, Problems& problems) {
    auto document = yaml::load(text, 1);
    problems.add(document.faults);
    auto& root = document.root;
    if (!document.faults.empty() || root.is_null() || !want_map(problems, root, "_defaults.yaml")) {
        return {};
    }
    check_keys(problems, root, "", defaults_keys, not_in_defaults);
    Definition unused;
    read_running(problems, root, unused);
    const auto* schedule = root.find("schedule");
    if (schedule != nullptr && want_map(problems, *schedule, "schedule")) {
        check_keys(problems, *schedule, "schedule", defaults_schedule_keys);
        unused.schedule.emplace();
        if (const auto* zone = schedule->find("timezone")) {
            read_zone(problems, *zone, unused);
        }
    }
    return std::move(root);
}

}  // namespace

ParseResult parse_definition(
    std::string_view yaml,
    std::string_view file,
    const Registry& registry,
    std::string_view defaults_yaml
) {
    ParseResult result;
    Problems problems{std::string(file), defaults_path(file)};
    auto& definition = result.definition;
    definition.text = yaml;
    const auto stem = stem_of(file);
    definition.name = stem;  // so that a broken file still has a name to be shown under
    const auto defaults = read_defaults(defaults_yaml, problems);
    auto document = yaml::load(yaml);
    definition.place = problems.place({1, 1, 0});
    problems.add(document.faults);
    auto& root = document.root;
    if (root.is_map()) {
        expand_schedule(root);
        merge_defaults(root, defaults);
        definition.place = problems.place(root.mark);
        DefinitionReader(problems, registry, definition).read(root, stem);
    } else if (document.faults.empty()) {
        problems.add(
            root.mark,
            root.is_null() ? "the file is empty" : fmt::format("a pipeline is a map (`name: …`), found {}", found(root))
        );
    }
    result.problems = problems.take();
    return result;
}

}  // namespace headrace::pipeline
