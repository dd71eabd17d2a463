#include "api/input.hpp"

#include "base/json_text.hpp"

#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace headrace::api {
namespace {

namespace json = boost::json;

constexpr std::size_t max_depth = 32;

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string place(std::string_view text, std::size_t at) {
    const auto before = text.substr(0, std::min(at, text.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto start = before.rfind('\n');
    return fmt::format(
        "line {} column {}", line, before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1
    );
}

}  // namespace

std::optional<std::string> query_text(const net::Request& request, std::string_view name, std::size_t max_characters) {
    const auto* value = request.parameter(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (characters(*value) > max_characters) {
        throw Problem("api.bad_request", fmt::format("{} is longer than {} characters", name, max_characters));
    }
    return *value;
}

std::optional<std::int64_t>
query_integer(const net::Request& request, std::string_view name, std::int64_t min, std::int64_t max) {
    const auto* value = request.parameter(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    std::int64_t number = 0;
    const auto* end = value->data() + value->size();
    const auto [at, error] = std::from_chars(value->data(), end, number);
    if (error != std::errc() || at != end || number < min || number > max) {
        throw Problem("api.bad_request", fmt::format("{} must be a whole number from {} to {}", name, min, max));
    }
    return number;
}

std::optional<Timestamp> query_time(const net::Request& request, std::string_view name) {
    const auto* value = request.parameter(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    const auto time = parse_rfc3339(*value);
    if (!time) {
        throw Problem("api.bad_request", fmt::format("{} must be a time such as 2026-11-21T18:00:00Z", name));
    }
    return time;
}

std::vector<std::string>
query_words(const net::Request& request, std::string_view name, std::span<const std::string_view> known) {
    std::vector<std::string> out;
    const auto* value = request.parameter(name);
    if (value == nullptr) {
        return out;
    }
    for (std::size_t from = 0; from <= value->size();) {
        const auto end = std::min(value->find(',', from), value->size());
        auto word = value->substr(from, end - from);
        if (std::find(known.begin(), known.end(), word) == known.end()) {
            throw Problem(
                "api.bad_request", fmt::format("{}: {} is none of {}", name, json_string(word), fmt::join(known, ", "))
            );
        }
        if (std::find(out.begin(), out.end(), word) == out.end()) {
            out.push_back(std::move(word));
        }
        from = end + 1;
    }
    return out;
}

json::object body_object(const net::Request& request, bool may_be_empty) {
    const std::string_view body = request.body;
    if (body.empty()) {
        if (may_be_empty) {
            return {};
        }
        throw Problem("api.bad_request", "this request needs a JSON body");
    }
    json::parse_options options;
    options.max_depth = max_depth;
    json::stream_parser parser(json::storage_ptr(), options);
    json::error_code error;
    std::size_t used = parser.write_some(body.data(), body.size(), error);
    if (!error && used < body.size()) {
        error = json::error::extra_data;
    }
    if (!error) {
        parser.finish(error);
    }
    if (error == json::error::too_deep) {
        throw Problem("api.bad_request", fmt::format("the JSON is nested more than {} levels deep", max_depth));
    }
    if (error) {
        throw Problem(
            "api.bad_request", fmt::format("the body is not JSON: {} at {}", error.message(), place(body, used))
        );
    }
    auto value = parser.release();
    if (!value.is_object()) {
        throw Problem("api.bad_request", "the body must be a JSON object");
    }
    return std::move(value.as_object());
}

const json::value* Members::find(std::string_view name) {
    known_.push_back(name);
    return object_.if_contains(name);
}

bool Members::is_null(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value != nullptr && value->is_null();
}

std::optional<bool> Members::boolean(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_bool()) {
        wrong(name, "must be true or false");
        return std::nullopt;
    }
    return value->as_bool();
}

std::optional<std::string> Members::text(std::string_view name, std::size_t max_characters) {
    const auto* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        wrong(name, "must be a text");
        return std::nullopt;
    }
    std::string out(value->as_string());
    if (characters(out) > max_characters) {
        wrong(name, fmt::format("is longer than {} characters", max_characters));
    } else if (out.find('\0') != std::string::npos) {
        wrong(name, "holds a zero character");
    }
    return out;
}

const json::object* Members::object(std::string_view name) {
    const auto* value = find(name);
    if (value == nullptr || value->is_null()) {
        return nullptr;
    }
    if (!value->is_object()) {
        wrong(name, "must be an object");
        return nullptr;
    }
    return &value->as_object();
}

std::string Members::pointer_of(std::string_view name) const {
    std::string out = pointer_ + "/";
    for (const char c : name) {
        out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
    return out;
}

void Members::wrong(std::string_view name, std::string detail) {
    errors_.push_back({pointer_of(name), std::move(detail)});
}

void Members::add(std::vector<FieldError> errors) {
    std::move(errors.begin(), errors.end(), std::back_inserter(errors_));
}

std::vector<FieldError> Members::errors() const {
    auto out = errors_;
    for (const auto& member : object_) {
        const std::string_view name(member.key().data(), member.key().size());
        if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
            out.push_back({pointer_of(name), fmt::format("is not known here; known: {}", fmt::join(known_, ", "))});
        }
    }
    return out;
}

void Members::done() const {
    auto all = errors();
    if (!all.empty()) {
        Problem problem("api.invalid", fmt::format("{} {}", all[0].pointer, all[0].detail));
        throw problem.with_errors(std::move(all));
    }
}

}  // namespace headrace::api
