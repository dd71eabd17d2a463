#include "run/manifest.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>

namespace headrace::run {

namespace json = boost::json;

std::string manifest_json(const pipeline::Manifest& manifest) {
    json::array keys;
    for (const auto& key : manifest.keys) {
        keys.push_back({{"live", key.live}, {"staging", key.staging}});
    }
    return json::serialize(json::object{
        {"keys", keys},
        {"rows", manifest.rows},
        {"bytes", manifest.bytes},
        {"schemaHash", manifest.schema_hash},
        {"ttlMs", manifest.ttl_ms},
        {"metaKey", manifest.meta_key}});
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
    return out;
}

}  // namespace headrace::run
