#include "source/options.hpp"

#include "base/error.hpp"
#include "net/http_headers.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source {

void refuse_option(const pipeline::Part& part, std::string text) {
    const auto& place = part.options.place;
    throw Error(
        ErrorKind::invalid,
        "pipeline.invalid",
        place.file.empty() ? std::move(text) : fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, text)
    );
}

std::string query_of(const pipeline::Part& part) {
    auto query = part.options.get("query");
    const auto end = query.find_last_not_of(" \t\r\n;");
    query.resize(end == std::string::npos ? 0 : end + 1);
    if (query.empty()) {
        refuse_option(part, "`query` is empty");
    }
    return query;
}

std::int64_t bounded(
    const pipeline::Part& part,
    std::string_view name,
    std::int64_t least,
    std::int64_t most,
    std::string_view words
) {
    const auto value = part.options.get_int(name);
    if (value < least || value > most) {
        refuse_option(part, fmt::format("`{}` is {}", name, words));
    }
    return value;
}

pipeline::OptionSpec retries_spec() {
    return {
        "retries",
        pipeline::OptionKind::integer,
        false,
        "6",
        "How often one request is tried again within an attempt.",
        {}};
}

pipeline::OptionSpec backoff_spec() {
    return {
        "backoff",
        pipeline::OptionKind::duration,
        false,
        "500ms",
        "First wait before that; doubles up to 32 s, with jitter.",
        {}};
}

Retrying retrying_of(const pipeline::Part& part) {
    return {
        static_cast<int>(bounded(part, "retries", 0, 20, "between 0 and 20")),
        std::chrono::milliseconds(bounded(part, "backoff", 1, 60'000, "between 1ms and 1m"))};
}

std::string setting(const pipeline::Credential& credential, std::string_view name, std::string_view otherwise) {
    const auto it = credential.settings.find(name);
    return it == credential.settings.end() || it->second.empty() ? std::string(otherwise) : it->second;
}

bool host_allowed(const pipeline::Credential& credential, const net::Address& address) {
    const auto& allowed = credential.allowed_hosts;
    return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) {
        return net::equal_no_case(entry, address.host) || net::equal_no_case(entry, address.text());
    });
}

}  // namespace headrace::source
