// Build tool: headrace_embed OUT.cpp NAMESPACE MODE LIST
// Writes a C++ file that holds each file named in LIST as a constant. MODE "bullmq" takes only the Lua text out of
// npm bullmq's generated script modules (`const content = `...`;`, no escapes inside), byte for byte, so that the
// SHA1 of a script is the one that Node's clients load.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw std::runtime_error("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string stem(const std::string& path) {
    auto name = path.substr(path.rfind('/') + 1);
    return name.substr(0, name.rfind('.'));
}

std::string lua_of(const std::string& module, const std::string& path) {
    const std::string open = "const content = `";
    auto from = module.find(open);
    auto to = module.find("`;", from);
    if (from == std::string::npos || to == std::string::npos) {
        throw std::runtime_error("no script content in " + path);
    }
    auto text = module.substr(from + open.size(), to - from - open.size());
    if (text.find('\\') != std::string::npos || text.find("${") != std::string::npos) {
        throw std::runtime_error("escapes in the script of " + path + ": the embedder must learn them");
    }
    return text;
}

// A string literal may hold 64 KiB at most on some compilers: numbers always work and diff well enough.
void write_constant(std::ostream& out, std::size_t index, const std::string& bytes) {
    out << "const char f" << index << "[] = {";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        out << (i % 24 == 0 ? "\n" : "") << static_cast<int>(static_cast<signed char>(bytes[i])) << ',';
    }
    out << "0};\n";
}

int run(int argc, char** argv) {
    if (argc != 5) {
        throw std::runtime_error("usage: headrace_embed OUT NAMESPACE MODE LIST");
    }
    const std::string mode = argv[3];
    std::vector<std::string> paths;
    std::ifstream list(argv[4]);
    for (std::string line; std::getline(list, line);) {
        if (!line.empty()) {
            paths.push_back(line);
        }
    }
    std::sort(paths.begin(), paths.end());
    std::ofstream out(argv[1], std::ios::binary);
    out << "#include <span>\n#include \"base/embedded.hpp\"\nnamespace " << argv[2] << " {\nnamespace {\n";
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        auto bytes = read_file(paths[i]);
        if (mode == "bullmq") {
            bytes = lua_of(bytes, paths[i]);
        }
        sizes.push_back(bytes.size());
        write_constant(out, i, bytes);
    }
    out << "const headrace::EmbeddedFile files[] = {\n";
    for (std::size_t i = 0; i < paths.size(); ++i) {
        out << "{\"" << stem(paths[i]) << "\", {f" << i << ", " << sizes[i] << "}},\n";
    }
    out << "};\n}\nstd::span<const headrace::EmbeddedFile> all();\n"
        << "std::span<const headrace::EmbeddedFile> all() { return files; }\n}\n";
    return out ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "headrace_embed: " << e.what() << '\n';
        return 1;
    }
}
