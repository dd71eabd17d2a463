#include "api/openapi_document.hpp"

#include "api/json_writer.hpp"
#include "base/embedded.hpp"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <regex>
#include <span>

namespace headrace::api {

namespace document {
std::span<const EmbeddedFile> all();  // generated at build time
}

namespace {

void write_scalar(JsonWriter& out, const YAML::Node& node) {
    const auto& text = node.Scalar();
    static const std::regex number(R"(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)");
    if (node.Tag() == "!") {  // was quoted
        out.text(text);
    } else if (text == "true" || text == "false") {
        out.raw(text);
    } else if (text.empty() || text == "null" || text == "~") {
        out.null();
    } else if (std::regex_match(text, number)) {
        out.raw(text);
    } else {
        out.text(text);
    }
}

void write_node(JsonWriter& out, const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Map:
            out.begin_object();
            for (const auto& member : node) {
                out.key(member.first.Scalar());
                write_node(out, member.second);
            }
            out.end();
            break;
        case YAML::NodeType::Sequence:
            out.begin_array();
            for (const auto& item : node) {
                write_node(out, item);
            }
            out.end();
            break;
        case YAML::NodeType::Scalar:
            write_scalar(out, node);
            break;
        default:
            out.null();
    }
}

}  // namespace

std::string_view openapi_yaml() {
    return document::all().front().content;
}

std::string openapi_json() {
    JsonWriter out;
    write_node(out, YAML::Load(std::string(openapi_yaml())));
    return out.take();
}

}  // namespace headrace::api
