// Reads a pipeline's source from outside of the service, for the Node tests beside this file.
//   read_source PIPELINE.yaml <CREDENTIAL.json
// The credential: {"settings": {…}, "secret": "…", "allowed_hosts": […]}. A line of JSON each: the columns with their
// types, every row, and at last {"end": {"rows", "proof"}}; or {"error": {"code", "message"}}.
#include "app/registry.hpp"
#include "base/error.hpp"
#include "data/json.hpp"
#include "pipeline/parse.hpp"

#include <boost/json.hpp>

#include <fmt/core.h>

#include <fstream>
#include <iostream>
#include <iterator>

namespace {

using namespace headrace;
namespace json = boost::json;

std::string all_of(std::istream& in) {
    return {std::istreambuf_iterator<char>(in), {}};
}

pipeline::Credential read_credential() {
    const auto value = json::parse(all_of(std::cin));
    pipeline::Credential credential;
    credential.name = "engine";
    for (const auto& [name, setting] : value.at("settings").as_object()) {
        credential.settings.emplace(name, setting.as_string().c_str());
    }
    credential.secret = Secret(value.at("secret").as_string().c_str());
    for (const auto& host : value.at("allowed_hosts").as_array()) {
        credential.allowed_hosts.emplace_back(host.as_string().c_str());
    }
    return credential;
}

void say(const json::value& line) {
    fmt::print("{}\n", json::serialize(line));
}

void read(const std::string& file) {
    const auto registry = app::make_registry({}, {});
    std::ifstream in(file);
    const auto parsed = pipeline::parse_definition(all_of(in), file, registry);
    if (!parsed.ok()) {
        throw Error(ErrorKind::invalid, "pipeline.invalid", parsed.problems.front().text());
    }
    const auto& part = parsed.definition.source;
    const auto source = pipeline::find_type(registry.sources(), part.type).make(part, read_credential());
    source->connect(
        {.deadline = Deadline::in(std::chrono::seconds(60)),
         .run_id = "engines",
         .attempt_id = fmt::format("{:x}", std::chrono::system_clock::now().time_since_epoch().count()),
         .log = [](std::string_view level, const std::string& text) { fmt::print(stderr, "{}: {}\n", level, text); }}
    );
    const auto schema = source->query();
    json::object columns;
    for (const auto& field : schema.fields) {
        columns[field.name] = data::type_text(field);
    }
    say({{"columns", columns}});
    const data::JsonEncoder encoder(schema);
    data::Batch batch;
    for (batch.reset(schema); source->next(batch); batch.reset(schema)) {
        for (std::size_t row = 0; row < batch.rows(); ++row) {
            data::Buffer<char> text;
            encoder.append_object(text, batch, row);
            fmt::print("{}\n", data::view(text));
        }
    }
    const auto done = source->completeness();
    say({{"end", {{"rows", done.rows}, {"proof", done.proof}}}});
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: read_source PIPELINE.yaml <CREDENTIAL.json\n");
        return 2;
    }
    try {
        read(argv[1]);
        return 0;
    } catch (const Error& error) {
        say({{"error", {{"code", error.code()}, {"message", error.what()}}}});
    } catch (const std::exception& error) {
        say({{"error", {{"code", "internal.bug"}, {"message", error.what()}}}});
    }
    return 1;
}
