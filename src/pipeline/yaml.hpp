// A YAML text as a small tree that remembers where everything stands. Made from yaml-cpp's events and not from its
// nodes: nodes lose the place of keys and hide keys that are written twice. Plain data, no file access.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline::yaml {

inline constexpr std::size_t max_text = 256 * 1024;  // bytes of one file

// Line and column, 1-based, columns in characters. `document` tells two texts of one tree apart (file 0, defaults 1).
struct Mark {
    int line = 1;
    int column = 1;
    int document = 0;
};

struct Entry;

struct Node {
    enum class Type { null, scalar, list, map };

    Type type = Type::null;
    bool plain = false;  // scalar without quotes: true, 10 and 10m are not text
    std::string text;    // scalar
    Mark mark;
    std::vector<Node> items;     // list
    std::vector<Entry> entries;  // map, in the order of the file, each key once

    bool is_null() const { return type == Type::null; }

    bool is_scalar() const { return type == Type::scalar; }

    bool is_list() const { return type == Type::list; }

    bool is_map() const { return type == Type::map; }

    const Node* find(std::string_view key) const;  // nullptr when absent or not a map
    const Entry* entry(std::string_view key) const;
};

struct Entry {
    std::string key;
    Mark mark;  // of the key
    Node value;
};

struct Fault {
    Mark mark;
    std::string message;
};

struct Document {
    Node root;
    std::vector<Fault> faults;  // syntax, keys written twice, tags, a second document, too large
};

// Never throws for bad input. Refused: bytes that are not UTF-8, control characters, more than max_text bytes, more
// than 32 levels, more than 20 000 values once aliases are resolved, aliases to something that is not finished, tags
// (but !!str).
Document load(std::string_view text, int document = 0);

}  // namespace headrace::pipeline::yaml
