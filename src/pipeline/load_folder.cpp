#include "base/error.hpp"
#include "pipeline/parse.hpp"
#include "pipeline/yaml.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

namespace headrace::pipeline {
namespace {

namespace fs = std::filesystem;

// At most one byte more than a file may have, so that the parser refuses it.
bool read_file(const fs::path& path, std::string& out) {
    std::ifstream in(path, std::ios::binary);
    out.resize(yaml::max_text + 1);
    in.read(out.data(), static_cast<std::streamsize>(out.size()));
    out.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return in.eof() || (in.good() && !out.empty());
}

ParseResult unreadable(const fs::path& path, std::string message) {
    ParseResult result;
    result.definition.name = path.stem().string();
    result.definition.place = {path.string(), 1, 1};
    result.problems.push_back({result.definition.place, std::move(message)});
    return result;
}

std::vector<fs::path> list_files(const std::string& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        const auto name = it->path().filename().string();
        const bool is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        if (is_yaml && !name.starts_with('.') && name != "_defaults.yaml") {
            files.push_back(it->path());
        }
    }
    if (error) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format("the folder of pipelines {} cannot be read: {}", folder, error.message())
        );
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

std::vector<ParseResult> load_folder(const std::string& folder, const Registry& registry) {
    std::vector<ParseResult> out;
    const auto files = list_files(folder);
    const auto defaults_file = fs::path(folder) / "_defaults.yaml";
    std::string defaults;
    std::error_code missing;
    if (fs::exists(defaults_file, missing) && !read_file(defaults_file, defaults)) {
        out.push_back(unreadable(defaults_file, "the file cannot be read"));
    }
    std::map<std::string, std::string> names;
    for (const auto& file : files) {
        std::string text;
        if (file.extension() != ".yaml") {
            out.push_back(
                unreadable(file, fmt::format("pipeline files end in .yaml; rename it to {}.yaml", file.stem().string()))
            );
            continue;
        }
        if (!read_file(file, text)) {
            out.push_back(unreadable(file, "the file cannot be read"));
            continue;
        }
        auto result = parse_definition(text, file.string(), registry, defaults);
        const auto [first, fresh] = names.emplace(result.definition.name, file.string());
        if (!fresh) {
            result.problems.push_back(
                {result.definition.place,
                 fmt::format("`name: {}` is also that of {}", result.definition.name, first->second)}
            );
        }
        out.push_back(std::move(result));
    }
    return out;
}

}  // namespace headrace::pipeline
