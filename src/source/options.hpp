// What every connector asks of its options and its credential. Pure.
#pragma once

#include "net/address.hpp"
#include "pipeline/registry.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::source {

// Throws pipeline.invalid with the place of the part in its file.
[[noreturn]] void refuse_option(const pipeline::Part& part, std::string text);

// The option `query` without a ';' at its end. Throws pipeline.invalid when nothing is left.
std::string query_of(const pipeline::Part& part);

// A number within its bounds, the file's or the default of its spec. Throws pipeline.invalid: "`name` is <words>".
std::int64_t bounded(
    const pipeline::Part& part,
    std::string_view name,
    std::int64_t least,
    std::int64_t most,
    std::string_view words
);

// How one request is tried again within an attempt.
struct Retrying {
    int retries = 0;                       // 0 to 20
    std::chrono::milliseconds backoff{0};  // the first wait: 1 ms to 1 min
};

pipeline::OptionSpec retries_spec();
pipeline::OptionSpec backoff_spec();
Retrying retrying_of(const pipeline::Part& part);  // throws pipeline.invalid

// A public setting of the credential; `otherwise` where it is missing or empty.
std::string setting(const pipeline::Credential& credential, std::string_view name, std::string_view otherwise = "");

// Whether the secret may go there: the list of the credential names the host, or host:port, in any case of letters.
bool host_allowed(const pipeline::Credential& credential, const net::Address& address);

}  // namespace headrace::source
