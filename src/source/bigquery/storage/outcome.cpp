#include "source/bigquery/storage/outcome.hpp"

#include <fmt/core.h>

namespace headrace::source::bigquery::storage {
namespace {

constexpr std::size_t most_said = 400;

struct Meaning {
    ErrorKind kind;
    std::string_view code;
    std::string_view name;
    std::string_view hint = "";
};

bool too_large(const Outcome& outcome) {
    return outcome.message.find("larger than max") != std::string::npos;
}

// An HTTP/2 stream that was reset shows as INTERNAL.
bool was_reset(const Outcome& outcome) {
    return outcome.message.find("RST_STREAM") != std::string::npos ||
           outcome.message.find("unexpected EOS") != std::string::npos;
}

Meaning meaning_of(const Outcome& outcome) {
    using enum ErrorKind;
    switch (outcome.code) {
        case Code::unauthenticated:
            return {unauthorized, "source.auth", "UNAUTHENTICATED"};
        case Code::permission_denied:
            return {
                unauthorized,
                "source.auth",
                "PERMISSION_DENIED",
                "Give the account the role BigQuery Read Session User on the project that pays, or say `read: rest`."};
        case Code::resource_exhausted:
            if (too_large(outcome)) {
                return {
                    permanent, "source.bad_data", "RESOURCE_EXHAUSTED", "Raise `max_row_bytes`, or say `read: rest`."};
            }
            return {outcome.retry_after ? transient : permanent, "source.rate_limited", "RESOURCE_EXHAUSTED"};
        case Code::invalid_argument:
            return {permanent, "source.query", "INVALID_ARGUMENT"};
        case Code::not_found:
            return {transient, "source.incomplete", "NOT_FOUND"};
        case Code::failed_precondition:
            return {transient, "source.incomplete", "FAILED_PRECONDITION"};
        case Code::out_of_range:
            return {transient, "source.incomplete", "OUT_OF_RANGE"};
        case Code::data_loss:
            return {transient, "source.incomplete", "DATA_LOSS"};
        case Code::unimplemented:
            return {permanent, "source.unsupported", "UNIMPLEMENTED", "Is `storage_url` the Storage Read API?"};
        case Code::deadline_exceeded:
            return {transient, "source.timeout", "DEADLINE_EXCEEDED"};
        case Code::internal:
            return {transient, "source.unavailable", "INTERNAL"};
        case Code::unavailable:
            return {transient, "source.unavailable", "UNAVAILABLE"};
        default:
            return {transient, "source.unavailable", "UNKNOWN"};
    }
}

// One line.
std::string said(std::string_view text) {
    std::string out(text.substr(0, most_said));
    for (char& c : out) {
        c = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return out.empty() ? "no text" : out;
}

}  // namespace

bool worth_repeating(const Outcome& outcome) {
    switch (outcome.code) {
        case Code::unavailable:
        case Code::unknown:
        case Code::deadline_exceeded:
        case Code::aborted:
            return true;
        case Code::internal:
            return was_reset(outcome);
        case Code::resource_exhausted:
            return outcome.retry_after.has_value();
        default:
            return false;
    }
}

Error to_error(const Outcome& outcome, std::string_view doing) {
    const auto meaning = meaning_of(outcome);
    Error error(
        meaning.kind,
        std::string(meaning.code),
        fmt::format("Storage Read refused to {}: {} ({})", doing, said(outcome.message), meaning.name)
    );
    if (!meaning.hint.empty()) {
        error.with_hint(std::string(meaning.hint));
    }
    return error;
}

}  // namespace headrace::source::bigquery::storage
