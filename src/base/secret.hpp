// A value that must never be shown. No operator<<, no formatter, no implicit conversion; the bytes are zeroed when it
// goes.
#pragma once

#include <string>
#include <string_view>

namespace headrace {

class Secret {
public:
    Secret() = default;

    explicit Secret(std::string value) : value_(std::move(value)) {}

    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept;
    Secret& operator=(const Secret&) = default;
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    bool empty() const { return value_.empty(); }

    // The one way to the bytes; grep for it to see who reads secrets.
    const std::string& reveal() const { return value_; }

private:
    std::string value_;
};

// "postgres://etl:hunter2@db/x" → "postgres://etl:***@db/x"; "host=db password=x" → "host=db password=***"; else as it
// is.
std::string mask_url(std::string_view url);

}  // namespace headrace
