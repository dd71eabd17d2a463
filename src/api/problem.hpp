// Errors as RFC 9457 problem documents. What a client sees is the code, its sentence and hint, and words that were
// written for it; never SQL, a stack, or an address of a server.
#pragma once

#include "base/error.hpp"
#include "net/http_message.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::api {

struct FieldError {
    std::string pointer;  // "#/schedule/cron"
    std::string detail;
};

// A refusal by the api itself. Status by code; `with_…` add members and headers.
class Problem : public Error {
public:
    Problem(std::string_view code, std::string detail);

    Problem& with_errors(std::vector<FieldError> errors);
    Problem& with_member(std::string name, std::string json);  // e.g. "current", "runId"
    Problem& with_header(std::string name, std::string value);

    const std::vector<FieldError>& errors() const { return errors_; }

    const std::vector<std::pair<std::string, std::string>>& members() const { return members_; }

    const std::vector<std::pair<std::string, std::string>>& headers() const { return headers_; }

private:
    std::vector<FieldError> errors_;
    std::vector<std::pair<std::string, std::string>> members_;
    std::vector<std::pair<std::string, std::string>> headers_;
};

// 422 api.invalid with one place.
Problem invalid_field(std::string pointer, std::string detail);

// What an error looks like from outside.
struct Outside {
    int status = 500;
    std::string_view code;
    bool show_detail = false;  // the message is meant for the client
};

// api.* by the table below; *.not_found 404; conflicts 409; bad input 422; a server that is away 503 api.unavailable;
// everything else 500 api.internal.
Outside outside_of(const Error& error);

net::Response render(const Error& error, const net::Request& request);

}  // namespace headrace::api
