#include "pipeline/json_writer.hpp"
#include "pipeline/parse.hpp"
#include "pipeline/parse_parts.hpp"

#include <algorithm>

namespace headrace::pipeline {
namespace {

constexpr std::string_view duration_pattern = R"(^(\d+(ms|[smhd]))+$)";
constexpr std::string_view bytes_pattern = R"(^\d+ ?(B|kB|MB|GB|KiB|MiB|GiB)$)";
constexpr std::string_view share_pattern = R"(^-?\d+(\.\d+)?%$)";
constexpr std::string_view name_pattern = "^[A-Za-z0-9_.-]{1,64}$";

class SchemaWriter {
public:
    explicit SchemaWriter(const Registry& registry) : registry_(registry) {}

    std::string write() && {
        json_.open('{');
        pair("$schema", "https://json-schema.org/draft/2020-12/schema");
        pair("title", "Headrace pipeline");
        pair("description", "One file is one pipeline: source, transforms, checks, sinks and a schedule.");
        pair("type", "object");
        json_.key("properties").open('{');
        identity();
        schedule();
        json_.key("source");
        connector("Where the rows come from.", source_types(registry_), helps(registry_.sources()));
        incremental();
        columns();
        json_.key("transform");
        steps(
            "Steps from the source to the sinks, in order.",
            transform_types(registry_),
            helps(registry_.transforms()),
            false
        );
        json_.key("checks");
        steps(
            "What the result must fulfil before anybody sees it.",
            check_types(registry_),
            helps(registry_.checks()),
            true
        );
        sinks();
        running();
        json_.close('}');
        required({"name", "source", "sinks"});
        json_.key("additionalProperties").raw("false").key("$defs").open('{').key("sink");
        connector("One sink.", sink_types(registry_), helps(registry_.sinks()));
        json_.close('}').close('}');
        return std::move(json_).take();
    }

private:
    using Helps = std::vector<std::string_view>;

    template <class Type>
    static Helps helps(const std::vector<Type>& types) {
        Helps out;
        for (const auto& type : types) {
            out.push_back(type.help);
        }
        return out;
    }

    void pair(std::string_view key, std::string_view value) { json_.key(key).text(value); }

    void texts(std::string_view key, const std::vector<std::string_view>& values) {
        json_.key(key).open('[');
        for (const auto value : values) {
            json_.text(value);
        }
        json_.close(']');
    }

    void required(const std::vector<std::string_view>& names) {
        if (!names.empty()) {
            texts("required", names);
        }
    }

    // {"type": …, "description": …} and, when given, a pattern.
    void simple(std::string_view type, std::string_view help, std::string_view pattern = "") {
        json_.open('{');
        pair("type", type);
        if (!pattern.empty()) {
            pair("pattern", pattern);
        }
        if (!help.empty()) {
            pair("description", help);
        }
        json_.close('}');
    }

    void integer(std::string_view help, std::string_view min, std::string_view max) {
        json_.open('{');
        pair("type", "integer");
        json_.key("minimum").raw(min).key("maximum").raw(max);
        pair("description", help);
        json_.close('}');
    }

    void choice(std::string_view help, const std::vector<std::string_view>& words) {
        json_.open('{');
        texts("enum", words);
        pair("description", help);
        json_.close('}');
    }

    void list_of_texts(std::string_view help) {
        json_.open('{');
        texts("type", {"array", "string"});
        json_.key("items").open('{');
        pair("type", "string");
        json_.close('}').key("minItems").raw("1");
        pair("description", help);
        json_.close('}');
    }

    void map_of_texts(std::string_view help) {
        json_.open('{');
        pair("type", "object");
        json_.key("minProperties").raw("1").key("additionalProperties").open('{');
        texts("type", {"string", "number", "boolean"});
        json_.close('}');
        pair("description", help);
        json_.close('}');
    }

    void option(const OptionSpec& spec) {
        switch (spec.kind) {
            case OptionKind::text:
            case OptionKind::sql:
                json_.open('{');
                texts("type", {"string", "number", "boolean"});
                break;
            case OptionKind::integer:
                json_.open('{');
                pair("type", "integer");
                json_.key("minimum").raw("0");
                break;
            case OptionKind::number:
                json_.open('{');
                texts("type", {"number", "string"});
                pair("pattern", share_pattern);
                break;
            case OptionKind::boolean:
                json_.open('{');
                pair("type", "boolean");
                break;
            case OptionKind::duration:
                json_.open('{');
                pair("type", "string");
                pair("pattern", duration_pattern);
                break;
            case OptionKind::bytes:
                json_.open('{');
                pair("type", "string");
                pair("pattern", bytes_pattern);
                break;
            case OptionKind::choice:
                json_.open('{');
                texts("enum", spec.choices);
                break;
            case OptionKind::text_list:
                list_of_texts(describe(spec));
                return;
            case OptionKind::text_map:
                map_of_texts(describe(spec));
                return;
        }
        pair("description", describe(spec));
        json_.close('}');
    }

    static std::string describe(const OptionSpec& spec) {
        return std::string(spec.help) +
               (spec.default_value.empty() ? std::string() : " Default: " + std::string(spec.default_value) + ".");
    }

    void identity() {
        json_.key("version").open('{').key("const").raw("1");
        pair("description", "Version of this file's form.");
        json_.close('}');
        json_.key("name");
        simple("string", "Name of the pipeline: the file's name without .yaml.", name_pattern);
        json_.key("description");
        simple("string", "What it is for, in one or two sentences.");
        json_.key("owner");
        simple("string", "Who answers for it.");
        json_.key("tags");
        list_of_texts("Words to filter by.");
        json_.key("enabled");
        simple("boolean", "false: the schedule rests; runs by hand stay possible. Default: true.");
    }

    void schedule() {
        json_.key("schedule").open('{');
        pair("description", "When it runs. Without it: by hand and by the API only.");
        json_.key("oneOf").open('[');
        simple("string", "Cron expression in UTC, or in the zone of _defaults.yaml.");
        json_.open('{');
        pair("type", "object");
        json_.key("properties").open('{');
        json_.key("cron");
        simple("string", "Minute hour day month weekday, or six fields with seconds first, or @daily and the like.");
        json_.key("timezone");
        simple("string", "IANA name such as Europe/Kyiv. Default: UTC.");
        json_.key("jitter");
        simple("string", "Start up to this much later, to spread load. Default: 0s.", duration_pattern);
        json_.key("catchup");
        choice("What to do with slots missed while no scheduler ran. Default: last.", {"none", "last", "all"});
        json_.key("catchup_window");
        simple("string", "Missed slots older than this are recorded and not run. Default: 24h.", duration_pattern);
        json_.key("overlap");
        choice("What to do when the previous run is still going. Default: skip.", {"skip", "queue", "cancel_old"});
        json_.close('}');
        required({"cron"});
        json_.key("additionalProperties").raw("false").close('}').close(']').close('}');
    }

    void connector(std::string_view help, const std::vector<PartType>& types, const Helps& type_helps) {
        json_.open('{');
        pair("description", help);
        json_.key("oneOf").open('[');
        for (std::size_t i = 0; i < types.size(); ++i) {
            const auto& type = types[i];
            json_.open('{');
            pair("type", "object");
            pair("description", type_helps[i]);
            json_.key("properties").open('{').key("type").open('{');
            pair("const", type.name);
            json_.close('}');
            json_.key("credential");
            simple("string", "Name of a stored credential.", name_pattern);
            std::vector<std::string_view> needed{"type"};
            if (type.needs_credential) {
                needed.push_back("credential");
            }
            options(type, needed);
            json_.close('}');
            required(needed);
            json_.key("additionalProperties").raw("false").close('}');
        }
        json_.close(']').close('}');
    }

    void options(const PartType& type, std::vector<std::string_view>& needed) {
        for (const auto& spec : *type.options) {
            json_.key(spec.name);
            option(spec);
            if (spec.required) {
                needed.push_back(spec.name);
            }
        }
    }

    void incremental() {
        json_.key("incremental").open('{');
        pair("type", "object");
        pair("description", "Each run reads only the rows whose cursor column has grown since the last one.");
        json_.key("properties").open('{').key("cursor");
        simple("string", "The column that grows: an integer, a date, a timestamp or a string.");
        json_.key("start").open('{');
        texts("type", {"string", "integer"});
        pair("description", "Where the first run begins; its form decides the kind of the cursor.");
        json_.close('}').key("lag").open('{');
        texts("type", {"string", "integer"});
        pair("description", "So much before the last value is read again, for rows that come late: 10m, 2d, 1000.");
        json_.close('}').key("chunk_rows");
        integer("Rows after which a retried attempt need not begin again; 0: it always does.", "0", "1000000000");
        json_.close('}');
        required({"cursor", "start"});
        json_.key("additionalProperties").raw("false").close('}');
    }

    void columns() {
        std::string words;
        for (const auto type : column_types()) {
            words += (words.empty() ? "" : "|") + std::string(type);
        }
        json_.key("columns").open('{');
        pair("type", "object");
        pair("description", "The columns that the source must give: name and type. `!` after the type: never null.");
        json_.key("additionalProperties").open('{');
        pair("type", "string");
        pair("pattern", "^(" + words + R"()(\( *\d+ *(, *\d+ *)?\))? *[!?]?$)");
        json_.close('}').close('}');
    }

    // The value of a step: that of its first option, or a map of its options.
    void step_value(const PartType& type, std::string_view help) {
        const auto& specs = *type.options;
        json_.open('{');
        pair("description", help);
        if (specs.empty()) {
            pair("type", "null");
            json_.close('}');
            return;
        }
        const bool all_optional =
            std::none_of(specs.begin(), specs.end(), [](const OptionSpec& s) { return s.required; });
        const bool others_optional =
            std::none_of(specs.begin() + 1, specs.end(), [](const OptionSpec& s) { return s.required; });
        json_.key("anyOf").open('[');
        if (others_optional) {
            option(specs.front());
        }
        if (specs.size() > 1 || specs.front().kind != OptionKind::text_map) {
            std::vector<std::string_view> needed;
            json_.open('{');
            pair("type", "object");
            json_.key("properties").open('{');
            options(type, needed);
            json_.close('}');
            required(needed);
            json_.key("additionalProperties").raw("false").close('}');
        }
        if (all_optional) {
            json_.open('{');
            pair("type", "null");
            json_.close('}');
        }
        json_.close(']').close('}');
    }

    void step_map(const std::vector<PartType>& types, const Helps& type_helps, bool one) {
        json_.open('{');
        pair("type", "object");
        json_.key("properties").open('{');
        for (std::size_t i = 0; i < types.size(); ++i) {
            json_.key(types[i].name);
            step_value(types[i], type_helps[i]);
        }
        json_.close('}');
        if (one) {
            json_.key("minProperties").raw("1").key("maxProperties").raw("1");
        }
        json_.key("additionalProperties").raw("false").close('}');
    }

    void steps(std::string_view help, const std::vector<PartType>& types, const Helps& type_helps, bool or_map) {
        std::vector<std::string_view> words;  // steps that are one word
        for (const auto& type : types) {
            if (std::none_of(type.options->begin(), type.options->end(), [](const OptionSpec& s) {
                    return s.required;
                })) {
                words.push_back(type.name);
            }
        }
        json_.open('{');
        pair("description", help);
        json_.key("anyOf").open('[').open('{');
        pair("type", "array");
        json_.key("items").open('{').key("anyOf").open('[');
        step_map(types, type_helps, true);
        if (!words.empty()) {
            json_.open('{');
            texts("enum", words);
            json_.close('}');
        }
        json_.close(']').close('}').close('}');
        if (or_map) {
            step_map(types, type_helps, false);
        }
        json_.close(']').close('}');
    }

    void sinks() {
        json_.key("sinks").open('{');
        pair("description", "Where the rows go; each sink publishes one output.");
        json_.key("anyOf").open('[').open('{');
        pair("type", "array");
        json_.key("minItems").raw("1").key("items");
        sink_reference();
        json_.close('}');
        sink_reference();
        json_.close(']').close('}');
    }

    void sink_reference() {
        json_.open('{');
        pair("$ref", "#/$defs/sink");
        json_.close('}');
    }

    void running() {
        json_.key("allow_empty");
        simple("boolean", "true: a result without rows is right and is published. Default: false.");
        json_.key("on_reject").open('{');
        pair("type", "object");
        pair(
            "description",
            "Rows that a step cannot accept are taken out and kept with their reason. Without it the first one stops "
            "the run."
        );
        json_.key("properties").open('{').key("keep");
        integer("So many are kept with their content. Default: 1000.", "0", "5000");
        json_.key("max").open('{');
        texts("type", {"integer", "string"});
        pair("pattern", share_pattern);
        pair(
            "description",
            "More bad rows than this, or a larger share of the rows read, and nothing is published: 100, 0.1%."
        );
        json_.close('}').close('}');
        required({"max"});
        json_.key("additionalProperties").raw("false").close('}');
        json_.key("retry").open('{');
        pair("type", "object");
        pair("description", "How often a run that failed for a passing reason is tried, in all.");
        json_.key("properties").open('{').key("attempts");
        integer("Tries of one run in all. Default: 3.", "1", "20");
        json_.key("backoff");
        simple("string", "First wait; it doubles each time. Default: 10s.", duration_pattern);
        json_.key("max");
        simple("string", "Longest wait. Default: 5m.", duration_pattern);
        json_.close('}').key("additionalProperties").raw("false").close('}');
        json_.key("timeout");
        simple("string", "An attempt that takes longer is stopped. 1s to 7d. Default: 30m.", duration_pattern);
        json_.key("limits").open('{');
        pair("type", "object");
        json_.key("properties").open('{').key("memory");
        simple("string", "Memory for the buffers of one run, 1MiB to 4GiB. Default: 64MiB.", bytes_pattern);
        json_.close('}').key("additionalProperties").raw("false").close('}');
        json_.key("fresh_within");
        simple("string", "An output older than this is shown as late.", duration_pattern);
    }

    const Registry& registry_;
    JsonWriter json_;
};

}  // namespace

std::string json_schema(const Registry& registry) {
    return SchemaWriter(registry).write();
}

}  // namespace headrace::pipeline
