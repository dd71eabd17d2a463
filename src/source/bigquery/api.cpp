#include "source/bigquery/api.hpp"

#include "base/ids.hpp"
#include "net/wait.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::source::bigquery {
namespace {

constexpr std::size_t most_answer = std::size_t{8} << 20;
constexpr std::size_t most_refusal = 64 * 1024;
constexpr std::size_t page_buffer = 512 * 1024;  // also what a page that is fetched ahead may hold
constexpr auto longest_silence = std::chrono::minutes(2);
constexpr auto longest_backoff = std::chrono::seconds(32);
constexpr auto longest_retry_after = std::chrono::minutes(10);
constexpr auto absurd_wait = std::chrono::seconds(std::int64_t{1} << 40);  // still a number of milliseconds

net::HttpClientOptions client_options(std::function<bool(const sockaddr*)> egress_check) {
    net::HttpClientOptions options;
    options.egress_check = std::move(egress_check);
    return options;
}

std::optional<std::chrono::seconds> retry_after_of(const net::HttpResponse& response) {
    const auto wait = parse_retry_after(
        response.headers().get("Retry-After"),
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
    );
    return wait ? std::optional(std::min(*wait, absurd_wait)) : std::nullopt;
}

}  // namespace

bool is_broken_exchange(const Error& error) {
    return error.kind() == ErrorKind::transient && error.code().starts_with("http.");
}

Error in_source_words(const Error& error) {
    if (error.code() == "http.timeout") {
        return Error(ErrorKind::transient, "source.timeout", error.message());
    }
    if (error.code().starts_with("http.") && error.code() != "http.egress") {
        return Error(error.kind(), "source.unavailable", error.message());
    }
    return error;
}

std::optional<std::chrono::milliseconds> Patience::draw(std::optional<std::chrono::milliseconds> retry_after) {
    if (tries_++ >= config_.retrying.retries) {
        return std::nullopt;
    }
    auto most = config_.retrying.backoff;
    for (int i = 1; i < tries_ && most < longest_backoff; ++i) {
        most *= 2;
    }
    std::uint32_t draw = 0;
    random_bytes(&draw, sizeof draw);
    auto span = std::min<std::chrono::milliseconds>(most, longest_backoff) * (draw % 1024) / 1024;
    if (retry_after) {
        const auto end = context_.deadline.when();
        const bool too_late = end != Deadline::Clock::time_point::max() &&
                              (*retry_after > longest_retry_after || Deadline::Clock::now() + *retry_after > end);
        if (too_late || *retry_after > longest_retry_after) {
            throw Error(
                ErrorKind::transient,
                "source.rate_limited",
                fmt::format(
                    "BigQuery asks to wait {} s, longer than this attempt may",
                    std::chrono::ceil<std::chrono::seconds>(*retry_after).count()
                )
            );
        }
        span += *retry_after;
    }
    return span;
}

bool Patience::wait(std::optional<std::chrono::milliseconds> retry_after) {
    const auto span = draw(retry_after);
    if (!span) {
        return false;
    }
    net::wait_readable(-1, Deadline::in(*span).earlier(context_.deadline), context_.stop);
    context_.stop.throw_if_stopped();
    return true;
}

Api::Api(const Config& config, std::function<bool(const sockaddr*)> egress_check)
    : config_(config), client_(client_options(std::move(egress_check))), tokens_(config, client_) {}

net::HttpRequest Api::request(const Call& call, Deadline deadline, const StopToken& stop) {
    net::HttpRequest out;
    out.method = call.method;
    out.url = config_.base_url + call.path;
    out.body = call.body;
    // BigQuery compresses only for clients that say gzip in their name, too.
    out.headers = {
        {"Authorization", "Bearer " + tokens_.token(deadline, stop).reveal()},
        {"Accept", "application/json"},
        {"User-Agent", "headrace (gzip)"}};
    if (!call.body.empty()) {
        out.headers.emplace_back("Content-Type", "application/json");
    }
    out.ca_file = config_.ca_file;
    out.deadline = deadline;
    out.idle_timeout = std::min<std::chrono::milliseconds>(longest_silence, config_.request_timeout);
    out.accept_compressed = call.large;
    out.buffer_bytes = page_buffer;
    return out;
}

// What a proxy puts in place of an answer is no answer.
bool Api::demand_json(const net::HttpResponse& response) const {
    const auto type = response.headers().get("Content-Type");
    return type.empty() || type.find("json") != std::string_view::npos;
}

// Calls once() until it has an answer or a refusal for good. What was sent may have done its work all the same, even
// behind our back: curl repeats a request by itself when a kept connection turns out to be dead.
template <class Try>
void Api::insist(Try once) {
    Patience patience(config_, context_);
    bool renewed = false;
    for (;;) {
        std::optional<std::chrono::seconds> retry_after;
        std::optional<Error> broken;
        try {
            const std::optional<Refusal> refusal = once(retry_after);
            if (!refusal) {
                return;
            }
            if (is_expired_token(*refusal) && !renewed) {
                tokens_.forget();
                renewed = true;
                continue;
            }
            if (!worth_repeating(*refusal)) {
                return;
            }
        } catch (const Error& error) {
            const bool token_endpoint = error.kind() == ErrorKind::transient && error.code().starts_with("source.");
            if (!is_broken_exchange(error) && !token_endpoint) {
                throw in_source_words(error);
            }
            broken = in_source_words(error);
        }
        if (!patience.wait(retry_after)) {
            if (broken) {
                throw Error(*broken);
            }
            return;
        }
    }
}

void Api::check_token() {
    insist([&](auto&) {
        tokens_.token(context_.deadline, context_.stop);
        return std::optional<Refusal>();
    });
}

Secret Api::token() {
    check_token();
    return tokens_.token(context_.deadline, context_.stop);
}

void Api::drop_token() {
    tokens_.forget();
}

Api::Answer Api::ask(const Call& call) {
    Answer answer;
    insist([&](std::optional<std::chrono::seconds>& retry_after) {
        const auto deadline = Deadline::in(config_.request_timeout).earlier(context_.deadline);
        auto response = client_.start(request(call, deadline, context_.stop), context_.stop);
        retry_after = retry_after_of(response);
        answer.refusal.reset();
        if (response.status() == 200 && demand_json(response)) {
            answer.body = response.read_all(most_answer);
            return answer.refusal;
        }
        answer.refusal =
            parse_refusal(response.status() == 200 ? 502 : response.status(), response.read_all(most_refusal));
        return answer.refusal;
    });
    return answer;
}

Api::Page Api::open(const Call& call) {
    Page page;
    insist([&](std::optional<std::chrono::seconds>& retry_after) {
        page = Page();
        auto response = client_.start(request(call, context_.deadline, context_.stop), context_.stop);
        retry_after = retry_after_of(response);
        if (response.status() == 200 && demand_json(response)) {
            page.response = std::move(response);
        } else {
            page.refusal =
                parse_refusal(response.status() == 200 ? 502 : response.status(), response.read_all(most_refusal));
        }
        return page.refusal;
    });
    return page;
}

net::HttpResponse Api::begin(const Call& call) {
    return client_.begin(request(call, context_.deadline, context_.stop), context_.stop);
}

std::optional<net::HttpResponse> Api::settle(net::HttpResponse begun) {
    try {
        begun.await_head();
        if (begun.status() == 200 && demand_json(begun)) {
            return begun;
        }
    } catch (const Error& error) {
        if (!is_broken_exchange(error)) {
            throw in_source_words(error);
        }
    }
    return std::nullopt;
}

std::optional<std::string> Api::tell(const Call& call, Deadline deadline) {
    for (int i = 0; i < 2; ++i) {
        auto reply = client_.fetch(request(call, deadline, StopToken()), StopToken(), most_answer);
        if (reply.status == 200) {
            return std::move(reply.body);
        }
        if (reply.status != 401) {
            break;
        }
        tokens_.forget();
    }
    return std::nullopt;
}

}  // namespace headrace::source::bigquery
