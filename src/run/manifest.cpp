#include "run/manifest.hpp"

#include "base/error.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>

#include <array>

namespace headrace::run {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 4> form_words = {"key", "rows", "pointer", "merge"};

pipeline::Form form_of(std::string_view word) {
    for (std::size_t i = 0; i < form_words.size(); ++i) {
        if (form_words[i] == word) {
            return static_cast<pipeline::Form>(i);
        }
    }
    throw Error(ErrorKind::permanent, "postgres.schema", "an output was decided by a newer headrace")
        .with_hint("Start that version.");
}

// Members that older versions did not write.
template <class T>
T member(const json::object& object, std::string_view name, T otherwise) {
    const auto* value = object.if_contains(name);
    return value == nullptr ? otherwise : json::value_to<T>(*value);
}

}  // namespace

std::string_view to_string(pipeline::Form form) {
    return form_words.at(static_cast<std::size_t>(form));
}

std::string manifest_json(const pipeline::Manifest& manifest) {
    json::array keys;
    for (const auto& key : manifest.keys) {
        keys.push_back({{"live", key.live}, {"staging", key.staging}});
    }
    json::object out{
        {"keys", keys},
        {"rows", manifest.rows},
        {"bytes", manifest.bytes},
        {"schemaHash", manifest.schema_hash},
        {"ttlMs", manifest.ttl_ms},
        {"metaKey", manifest.meta_key},
        {"form", to_string(manifest.form)},
        {"keepMs", manifest.keep_ms}};
    if (manifest.form != pipeline::Form::key) {
        out["generation"] = manifest.generation;
        out["staged"] = manifest.staged;
        out["sweepMs"] = manifest.sweep_ms;
    }
    if (!manifest.as_of.empty()) {
        out["asOf"] = manifest.as_of;
    }
    return json::serialize(out);
}

pipeline::Manifest parse_manifest(std::string_view text) {
    pipeline::Manifest out;
    const auto parsed = json::parse(json::string_view(text.data(), text.size()));
    const auto& object = parsed.as_object();
    for (const auto& key : object.at("keys").as_array()) {
        out.keys.push_back({json::value_to<std::string>(key.at("live")), json::value_to<std::string>(key.at("staging"))}
        );
    }
    out.rows = object.at("rows").to_number<std::uint64_t>();
    out.bytes = object.at("bytes").to_number<std::uint64_t>();
    out.schema_hash = json::value_to<std::string>(object.at("schemaHash"));
    out.ttl_ms = object.at("ttlMs").to_number<std::int64_t>();
    out.meta_key = json::value_to<std::string>(object.at("metaKey"));
    out.form = form_of(member<std::string>(object, "form", "key"));
    out.keep_ms = member<std::int64_t>(object, "keepMs", 0);
    out.generation = member<std::string>(object, "generation", "");
    out.staged = member<std::uint64_t>(object, "staged", 0);
    out.sweep_ms = member<std::int64_t>(object, "sweepMs", 0);
    out.as_of = member<std::string>(object, "asOf", "");
    return out;
}

}  // namespace headrace::run
