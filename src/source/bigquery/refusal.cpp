#include "source/bigquery/refusal.hpp"

#include "source/bigquery/dom.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::bigquery {
namespace {

constexpr std::size_t most_message = 500;

bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

// One line of printable text.
std::string shorten(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, most_message)) {
        const bool blank = static_cast<unsigned char>(c) <= ' ';
        if (!blank) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    return text.size() > most_message ? out + " …" : out;
}

struct Outcome {
    ErrorKind kind;
    std::string_view code;
    std::string_view hint = "";
};

Outcome outcome_of(const Refusal& refusal) {
    const auto& reason = refusal.reason;
    if (refusal.status == 401 ||
        one_of(reason, {"authError", "accessDenied", "invalid_grant", "invalid_client", "invalidUser"})) {
        return {
            ErrorKind::unauthorized,
            "source.auth",
            reason == "invalid_grant" ? "Is the key still valid, and is this machine's clock right?"
            : reason == "accessDenied"
                ? "Give the account the roles BigQuery Job User (project) and BigQuery Data Viewer (dataset)."
                : ""};
    }
    if (one_of(reason, {"bytesBilledLimitExceeded"})) {
        return {ErrorKind::permanent, "source.cost"};
    }
    if (one_of(reason, {"quotaExceeded", "billingNotEnabled", "billingTierLimitExceeded", "blocked"})) {
        return {
            ErrorKind::permanent, "source.rate_limited", "The quota or the billing of the project stops this query."};
    }
    if (one_of(reason, {"rateLimitExceeded", "userRateLimitExceeded", "jobRateLimitExceeded"}) ||
        refusal.status == 429) {
        return {ErrorKind::transient, "source.rate_limited"};
    }
    if (one_of(reason, {"backendError", "internalError", "badGateway", "jobBackendError", "jobInternalError"}) ||
        refusal.status >= 500 || refusal.status == 408) {
        return {ErrorKind::transient, "source.unavailable"};
    }
    if (reason.empty() && refusal.status != 200 && refusal.status != 400 && refusal.status != 404) {
        return {ErrorKind::permanent, "source.unavailable", "Is `url` the address of BigQuery, and no proxy between?"};
    }
    return {ErrorKind::permanent, "source.query"};
}

}  // namespace

Refusal parse_refusal(int status, std::string_view body) {
    Refusal out{status, "", ""};
    simdjson::dom::parser parser;
    dom::element document;
    if (parser.parse(body.data(), body.size()).get(document) == simdjson::SUCCESS) {
        const auto error = dom::member(document, "error");
        if (error && error->is_string()) {  // the token endpoint
            out.reason = dom::text(document, "error");
            out.message = shorten(dom::text(document, "error_description"));
        } else if (error) {
            out.message = shorten(dom::text(*error, "message"));
            if (const auto list = dom::list(*error, "errors"); list && list->size() > 0) {
                out.reason = dom::text(list->at(0), "reason");
            }
            if (out.reason.empty() && dom::text(*error, "status") == "UNAUTHENTICATED") {
                out.reason = "authError";
            }
        }
    }
    if (out.message.empty()) {
        out.message = out.reason.empty() ? shorten(body.substr(0, 200)) : out.reason;
    }
    return out;
}

bool is_expired_token(const Refusal& refusal) {
    return refusal.status == 401 || refusal.reason == "authError";
}

bool worth_repeating(const Refusal& refusal) {
    if (!refusal.reason.empty()) {
        return one_of(
            refusal.reason,
            {"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError", "badGateway"}
        );
    }
    return one_of(std::to_string(refusal.status), {"408", "429", "500", "502", "503", "504"});
}

bool worth_a_new_job(std::string_view reason) {
    return one_of(
        reason, {"jobBackendError", "jobInternalError", "jobRateLimitExceeded", "backendError", "internalError"}
    );
}

Error to_error(const Refusal& refusal, std::string_view doing) {
    const auto outcome = outcome_of(refusal);
    std::string how = refusal.status != 0 ? fmt::format("HTTP {}", refusal.status) : std::string("job");
    if (!refusal.reason.empty()) {
        how += ", " + refusal.reason;
    }
    Error error(
        outcome.kind,
        outcome.code,
        fmt::format(
            "BigQuery refused to {}: {} ({})", doing, refusal.message.empty() ? "no text" : refusal.message, how
        )
    );
    if (!outcome.hint.empty()) {
        error.with_hint(std::string(outcome.hint));
    }
    return error;
}

}  // namespace headrace::source::bigquery
