// How a source behaves towards its service: the options that the generic source and the connectors on top of it share.
#include "base/units.hpp"
#include "source/http/config.hpp"

#include <fmt/core.h>

#include <charconv>

namespace headrace::source::http {
namespace {

using pipeline::OptionKind;
using std::chrono::milliseconds;

constexpr std::int64_t row_bytes_limit = std::int64_t{256} << 20;

// "10/s", "180/m", "5000/h": the time between two requests.
std::optional<std::chrono::nanoseconds> parse_rate(std::string_view text) {
    const auto slash = text.find('/');
    std::int64_t count = 0;
    const auto number = text.substr(0, slash);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
    if (slash == std::string_view::npos || error != std::errc() || end != number.data() + number.size() || count < 1 ||
        count > 1'000'000) {
        return std::nullopt;
    }
    const auto unit = text.substr(slash + 1);
    const std::chrono::nanoseconds whole = unit == "s"   ? std::chrono::seconds(1)
                                           : unit == "m" ? std::chrono::minutes(1)
                                           : unit == "h" ? std::chrono::nanoseconds(std::chrono::hours(1))
                                                         : std::chrono::nanoseconds(0);
    return whole.count() == 0 ? std::nullopt : std::optional(whole / count);
}

}  // namespace

std::vector<pipeline::OptionSpec> conduct_specs() {
    return {
        {"rate",
         OptionKind::text,
         false,
         "",
         "Most requests, e.g. 10/s or 180/m, of all runs of one credential at one host together.",
         {}},
        retries_spec(),
        backoff_spec(),
        {"max_wait",
         OptionKind::duration,
         false,
         "5m",
         "Longest single wait, whatever the service asks for in Retry-After.",
         {}},
        {"wait_budget", OptionKind::duration, false, "15m", "All waits of an attempt together.", {}},
        {"request_timeout",
         OptionKind::duration,
         false,
         "2m",
         "Longest time for one page, and longest silence within it.",
         {}},
        {"compress", OptionKind::boolean, false, "true", "Asks for gzip: less network, more CPU.", {}},
        {"max_row_bytes", OptionKind::bytes, false, "4MiB", "A larger row fails the run; up to 256MiB.", {}},
        {"max_page_bytes", OptionKind::bytes, false, "1GiB", "A larger page, after decompression, fails the run.", {}},
        {"max_pages", OptionKind::integer, false, "1000000", "More pages fail the run.", {}},
        {"max_rows", OptionKind::integer, false, "100000000", "More rows fail the run.", {}},
    };
}

void read_conduct(const pipeline::Part& part, Config& out) {
    const auto& options = part.options;
    if (const auto rate = options.get("rate"); !rate.empty()) {
        const auto pace = parse_rate(rate);
        if (!pace) {
            refuse_option(part, fmt::format("`rate` is written 10/s, 180/m or 5000/h, found `{}`", rate));
        }
        out.pace = *pace;
    }
    out.retrying = retrying_of(part);
    out.max_wait = milliseconds(bounded(part, "max_wait", 1, 3'600'000, "between 1ms and 1h"));
    out.wait_budget = milliseconds(bounded(part, "wait_budget", 0, 86'400'000, "at most 1d"));
    out.request_timeout = milliseconds(bounded(part, "request_timeout", 100, 3'600'000, "between 100ms and 1h"));
    out.bounds.row_bytes =
        static_cast<std::size_t>(bounded(part, "max_row_bytes", 1024, row_bytes_limit, "between 1KiB and 256MiB"));
    out.bounds.page_bytes =
        static_cast<std::uint64_t>(bounded(part, "max_page_bytes", 1024, std::int64_t{1} << 50, "at least 1KiB"));
    out.max_pages = static_cast<std::uint64_t>(bounded(part, "max_pages", 1, std::int64_t{1} << 50, "at least 1"));
    out.max_rows = static_cast<std::uint64_t>(bounded(part, "max_rows", 1, std::int64_t{1} << 50, "at least 1"));
    out.compress = options.get_bool("compress", true);
}

}  // namespace headrace::source::http
