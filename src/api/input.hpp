// What clients send, checked: query parameters one by one, and JSON bodies whose every bad member is reported at once.
#pragma once

#include "api/problem.hpp"
#include "base/time.hpp"
#include "net/http_message.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::api {

// Each throws api.bad_request that names the parameter. nullopt, or `otherwise`, when it is absent.
std::optional<std::string> query_text(const net::Request& request, std::string_view name, std::size_t max_characters);
std::optional<std::int64_t>
query_integer(const net::Request& request, std::string_view name, std::int64_t min, std::int64_t max);
std::optional<Timestamp> query_time(const net::Request& request, std::string_view name);
// "a,b": one or more of `known`, without repetition.
std::vector<std::string>
query_words(const net::Request& request, std::string_view name, std::span<const std::string_view> known);

// The body as an object. Empty body: an empty object when that is allowed. api.bad_request with line and column for
// what is not JSON (RFC 8259), for more than 32 levels, and for another value than an object.
boost::json::object body_object(const net::Request& request, bool may_be_empty);

// Reads the members of one object and gathers what is wrong; done() throws it all as 422 api.invalid.
class Members {
public:
    explicit Members(const boost::json::object& object, std::string pointer = "#")
        : object_(object), pointer_(std::move(pointer)) {}

    bool has(std::string_view name) const { return object_.contains(name); }

    bool is_null(std::string_view name) const;
    std::optional<bool> boolean(std::string_view name);
    std::optional<std::string> text(std::string_view name, std::size_t max_characters);
    const boost::json::object* object(std::string_view name);

    void known(std::string_view name) { known_.push_back(name); }

    void wrong(std::string_view name, std::string detail);  // pointer of that member
    void add(std::vector<FieldError> errors);
    std::string pointer_of(std::string_view name) const;

    std::vector<FieldError> errors() const;  // unknown members included
    void done() const;

private:
    const boost::json::value* find(std::string_view name);

    const boost::json::object& object_;
    std::string pointer_;
    std::vector<std::string_view> known_;
    std::vector<FieldError> errors_;
};

}  // namespace headrace::api
