// An ordered list of header fields; names compare without case. Value type.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::net {

class HttpHeaders {
public:
    using Field = std::pair<std::string, std::string>;

    HttpHeaders() = default;

    HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

    void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }

    void set(std::string_view name, std::string value);    // replaces all of that name
    const std::string* find(std::string_view name) const;  // first of that name, nullptr when absent
    std::string_view get(std::string_view name) const;     // first of that name, "" when absent
    std::string joined(std::string_view name) const;       // all of that name, ", " between (RFC 9110 §5.3)

    bool has(std::string_view name) const { return find(name) != nullptr; }

    std::size_t count(std::string_view name) const;

    void clear() { fields_.clear(); }

    bool empty() const { return fields_.empty(); }

    auto begin() const { return fields_.begin(); }

    auto end() const { return fields_.end(); }

private:
    std::vector<Field> fields_;
};

bool equal_no_case(std::string_view a, std::string_view b);  // ASCII
// True when the comma list of `header` names `token`, e.g. list_has("keep-alive, Upgrade",
// "upgrade").
bool list_has(std::string_view header, std::string_view token);

}  // namespace headrace::net
