#include "api/problem.hpp"

#include "api/json_writer.hpp"
#include "base/codes.hpp"

#include <algorithm>
#include <array>

namespace headrace::api {
namespace {

struct Known {
    std::string_view code;
    int status;
};

constexpr std::array known = {
    Known{"api.bad_request", 400},
    Known{"api.busy", 503},
    Known{"api.edit_conflict", 412},
    Known{"api.forbidden", 403},
    Known{"api.header_too_large", 431},
    Known{"api.idempotency_in_progress", 409},
    Known{"api.idempotency_mismatch", 422},
    Known{"api.internal", 500},
    Known{"api.invalid", 422},
    Known{"api.invalid_cursor", 400},
    Known{"api.method_not_allowed", 405},
    Known{"api.not_acceptable", 406},
    Known{"api.not_found", 404},
    Known{"api.payload_too_large", 413},
    Known{"api.precondition_required", 428},
    Known{"api.rate_limited", 429},
    Known{"api.request_timeout", 408},
    Known{"api.unauthenticated", 401},
    Known{"api.unavailable", 503},
    Known{"api.unsupported_media_type", 415},
    Known{"credential.not_found", 404},
    Known{"pipeline.not_found", 404},
    Known{"pipeline.paused", 409},
    Known{"run.already_active", 409},
    Known{"run.not_cancellable", 409},
    Known{"run.range", 422},
    Known{"run.not_found", 404},
    Known{"schedule.bad_cron", 422},
    Known{"schedule.bad_zone", 422},
};

bool starts_with_any(std::string_view code, std::initializer_list<std::string_view> areas) {
    return std::any_of(areas.begin(), areas.end(), [&](std::string_view area) { return code.starts_with(area); });
}

void write_members(JsonWriter& json, const Problem& problem) {
    if (!problem.errors().empty()) {
        json.key("errors").begin_array();
        for (const auto& error : problem.errors()) {
            json.begin_object();
            json.key("pointer").text(error.pointer).key("detail").text(error.detail);
            json.end();
        }
        json.end();
    }
    for (const auto& [name, value] : problem.members()) {
        json.key(name).raw(value);
    }
}

}  // namespace

Problem::Problem(std::string_view code, std::string detail) : Error(ErrorKind::invalid, code, std::move(detail)) {}

Problem& Problem::with_errors(std::vector<FieldError> errors) {
    errors_ = std::move(errors);
    return *this;
}

Problem& Problem::with_member(std::string name, std::string json) {
    members_.emplace_back(std::move(name), std::move(json));
    return *this;
}

Problem& Problem::with_header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
    return *this;
}

Problem invalid_field(std::string pointer, std::string detail) {
    Problem problem("api.invalid", detail);
    problem.with_errors({{std::move(pointer), std::move(detail)}});
    return problem;
}

Outside outside_of(const Error& error) {
    const auto* hit = std::find_if(known.begin(), known.end(), [&](const Known& k) { return k.code == error.code(); });
    if (hit != known.end()) {
        return {hit->status, hit->code, hit->status != 500};
    }
    // A server of ours is away, refuses us, or is full; or we are shutting down.
    const bool server = starts_with_any(error.code(), {"postgres.", "redis.", "net.", "queue."});
    const bool passing = error.kind() == ErrorKind::transient || error.kind() == ErrorKind::unauthorized ||
                         error.kind() == ErrorKind::cancelled || error.code() == "postgres.disk_full" ||
                         error.code() == "postgres.schema";
    if (server && passing) {
        return {503, "api.unavailable", false};
    }
    return {500, "api.internal", false};
}

net::Response render(const Error& error, const net::Request& request) {
    const auto outside = outside_of(error);
    const auto* info = find_code(outside.code);
    JsonWriter json;
    json.begin_object();
    json.key("type").text("/problems/" + std::string(outside.code));
    json.key("title").text(info != nullptr ? info->sentence : std::string_view("The request failed."));
    json.key("status").number(outside.status);
    std::string detail = outside.show_detail ? error.message() : std::string();
    std::string hint(info != nullptr ? info->hint : std::string_view());
    if (outside.show_detail) {
        hint = error.hint();
    } else if (const auto* cause = find_code(error.code()); cause != nullptr && outside.status == 503) {
        detail = cause->sentence;  // which server, in words that hold no address
    }
    if (!detail.empty()) {
        json.key("detail").text(detail);
    }
    json.key("instance").text(request.path);
    json.key("code").text(outside.code);
    if (!hint.empty()) {
        json.key("hint").text(hint);
    }
    json.key("requestId").text(request.id);
    net::Response response;
    response.status = outside.status;
    response.headers.set("Content-Type", "application/problem+json");
    if (const auto* problem = dynamic_cast<const Problem*>(&error)) {
        write_members(json, *problem);
        for (const auto& [name, value] : problem->headers()) {
            response.headers.set(name, value);
        }
    }
    json.end();
    response.body = json.take();
    if ((outside.status == 503 || outside.status == 429) && !response.headers.has("Retry-After")) {
        response.headers.set("Retry-After", "2");
    }
    return response;
}

}  // namespace headrace::api
