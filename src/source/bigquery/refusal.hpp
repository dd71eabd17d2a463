// What BigQuery, its token endpoint, or a proxy between says when something is refused, and the Error that it becomes.
// The reason decides, not the HTTP status: 403 is "slow down" as well as "never". Pure.
#pragma once

#include "base/error.hpp"
#include "source/retry_after.hpp"

#include <string>
#include <string_view>

namespace headrace::source::bigquery {

struct Refusal {
    int status = 0;      // HTTP; 0 = the error of a job
    std::string reason;  // "invalidQuery"; "" = none was given
    std::string message;

    bool operator==(const Refusal&) const = default;
};

// {"error":{"code","message","errors":[{"reason"}]}}, {"error":"invalid_grant","error_description":"…"}, or any other
// text (of a proxy), shortened.
Refusal parse_refusal(int status, std::string_view body);

bool is_expired_token(const Refusal& refusal);  // a new token and one more try
bool worth_repeating(const Refusal& refusal);   // the same request again, after a wait
bool worth_a_new_job(std::string_view reason);  // the job failed by no fault of the query; its id is spent
Error to_error(const Refusal& refusal, std::string_view doing);

using source::parse_retry_after;

}  // namespace headrace::source::bigquery
