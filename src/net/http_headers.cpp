#include "net/http_headers.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace headrace::net {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

void HttpHeaders::set(std::string_view name, std::string value) {
    std::erase_if(fields_, [&](const Field& field) { return equal_no_case(field.first, name); });
    fields_.emplace_back(std::string(name), std::move(value));
}

const std::string* HttpHeaders::find(std::string_view name) const {
    for (const auto& field : fields_) {
        if (equal_no_case(field.first, name)) {
            return &field.second;
        }
    }
    return nullptr;
}

std::string_view HttpHeaders::get(std::string_view name) const {
    const auto* value = find(name);
    return value != nullptr ? std::string_view(*value) : std::string_view();
}

std::string HttpHeaders::joined(std::string_view name) const {
    std::string out;
    for (const auto& [key, value] : fields_) {
        if (equal_no_case(key, name)) {
            out += (out.empty() ? "" : ", ") + value;
        }
    }
    return out;
}

std::size_t HttpHeaders::count(std::string_view name) const {
    return static_cast<std::size_t>(std::count_if(fields_.begin(), fields_.end(), [&](const Field& field) {
        return equal_no_case(field.first, name);
    }));
}

bool equal_no_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool list_has(std::string_view header, std::string_view token) {
    while (!header.empty()) {
        const auto comma = std::min(header.find(','), header.size());
        if (equal_no_case(trimmed(header.substr(0, comma)), token)) {
            return true;
        }
        header.remove_prefix(std::min(comma + 1, header.size()));
    }
    return false;
}

}  // namespace headrace::net
