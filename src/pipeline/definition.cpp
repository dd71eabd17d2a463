#include "pipeline/definition.hpp"

#include <charconv>

namespace headrace::pipeline {

std::string Options::get(std::string_view name, std::string_view otherwise) const {
    const auto it = values.find(name);
    return it == values.end() ? std::string(otherwise) : it->second;
}

std::int64_t Options::get_int(std::string_view name, std::int64_t otherwise) const {
    const auto it = values.find(name);
    if (it == values.end()) {
        return otherwise;
    }
    std::int64_t value = 0;
    const auto& text = it->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

bool Options::get_bool(std::string_view name, bool otherwise) const {
    const auto it = values.find(name);
    return it == values.end() ? otherwise : it->second == "true";
}

std::vector<std::string> Options::get_list(std::string_view name) const {
    const auto it = lists.find(name);
    return it == lists.end() ? std::vector<std::string>() : it->second;
}

}  // namespace headrace::pipeline
