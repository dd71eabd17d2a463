// headrace check: reads pipeline files and says everything that is wrong with them.
#include "app/commands.hpp"
#include "app/config.hpp"
#include "app/registry.hpp"
#include "base/error.hpp"
#include "pipeline/parse.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace headrace::app {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw Error(ErrorKind::invalid, "pipeline.not_found", fmt::format("cannot read {}", path));
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string defaults_beside(const std::string& file) {
    const auto path = std::filesystem::path(file).parent_path() / "_defaults.yaml";
    return std::filesystem::exists(path) ? read_file(path.string()) : std::string();
}

int check(const std::vector<std::string>& files) {
    const auto registry = make_registry({}, {});
    std::vector<pipeline::ParseResult> results;
    if (files.empty()) {
        results = pipeline::load_folder(load_config().pipelines, registry);
    }
    for (const auto& file : files) {
        results.push_back(pipeline::parse_definition(read_file(file), file, registry, defaults_beside(file)));
    }
    std::size_t bad = 0;
    for (const auto& result : results) {
        for (const auto& problem : result.problems) {
            fmt::print(stderr, "{}\n", problem.text());
        }
        bad += result.ok() ? 0 : 1;
    }
    fmt::print("{} pipeline file{} checked, {} with problems\n", results.size(), results.size() == 1 ? "" : "s", bad);
    return bad == 0 ? 0 : 1;
}

}  // namespace

void add_check(CLI::App& app, Run& chosen) {
    auto* command = app.add_subcommand("check", "Read pipeline files and say everything that is wrong with them");
    auto files = std::make_shared<std::vector<std::string>>();
    auto schema = std::make_shared<bool>(false);
    command->add_option("files", *files, "Files; none: all of the pipelines folder");
    command->add_flag("--schema", *schema, "Print the JSON Schema of a pipeline file for editors");
    command->callback([&chosen, files, schema] {
        chosen = [files, schema] {
            if (*schema) {
                fmt::print("{}", pipeline::json_schema(make_registry({}, {})));
                return 0;
            }
            return check(*files);
        };
    });
}

}  // namespace headrace::app
