#include "source/http/api.hpp"

#include "base/encoding.hpp"
#include "base/ids.hpp"
#include "base/units.hpp"
#include "net/wait.hpp"
#include "source/retry_after.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::source::http {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t most_refusal = 16 * 1024;
constexpr std::size_t page_buffer = 512 * 1024;
constexpr auto longest_backoff = std::chrono::seconds(32);
constexpr int most_redirects = 3;

net::HttpClientOptions options_of(std::function<bool(const sockaddr*)> egress_check) {
    net::HttpClientOptions options;
    options.egress_check = std::move(egress_check);
    return options;
}

// "; charset=utf-8" may follow, and `application/problem+json` is JSON, too.
bool is_json_type(std::string_view type) {
    return type.empty() || type.substr(0, type.find(';')).find("json") != std::string_view::npos;
}

// What the service says, without our login in case it quotes it: the redactor does not know its encoded form.
std::string beginning_of(net::HttpResponse& response, const net::HttpRequest& request) {
    std::string out;
    try {
        for (auto piece = response.read_chunk(); !piece.empty() && out.size() < most_refusal;
             piece = response.read_chunk()) {
            out += piece.substr(0, most_refusal - out.size());
        }
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) {
            throw;
        }
    }
    for (const auto& [name, value] : request.headers) {
        if (!net::equal_no_case(name, "authorization") || value.size() < 10) {
            continue;
        }
        const auto login = value.substr(value.find(' ') + 1);
        for (auto at = out.find(login); at != std::string::npos; at = out.find(login, at + 3)) {
            out.replace(at, login.size(), "***");
        }
    }
    return refusal_text(out, response.headers().get("Content-Type"));
}

std::string with_query(std::string url, const Pairs& query) {
    for (const auto& [name, value] : query) {
        url += url.find('?') == std::string::npos ? '?' : '&';
        url += percent_encode(name) + '=' + percent_encode(value);
    }
    return url;
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

Api::Api(const Config& config, std::function<bool(const sockaddr*)> egress_check, std::shared_ptr<Pace> pace)
    : config_(config), client_(options_of(std::move(egress_check))), pace_(std::move(pace)) {}

void Api::log(std::string_view level, std::string message) const {
    if (context_.log) {
        context_.log(level, std::move(message));
    }
}

net::HttpRequest Api::request(const Ask& ask) const {
    net::HttpRequest out;
    out.method = config_.method;
    out.url = ask.url.empty() ? with_query(with_query(config_.url, config_.query), ask.query) : ask.url;
    out.body = config_.body;
    for (const auto& [name, value] : ask.placeholders) {
        for (auto at = out.body.find(name); at != std::string::npos; at = out.body.find(name, at + value.size())) {
            out.body.replace(at, name.size(), value);
        }
    }
    out.headers = config_.headers;
    authorize(out, config_.auth);
    out.deadline = context_.deadline;
    out.idle_timeout = config_.request_timeout;
    out.accept_compressed = config_.compress;
    out.buffer_bytes = page_buffer;
    return out;
}

// False: the run's time is up before.
bool Api::pause(milliseconds span) {
    const auto until = Deadline::in(span);
    net::wait_readable(-1, until.earlier(context_.deadline), context_.stop);
    context_.stop.throw_if_stopped();
    return !context_.deadline.passed();
}

void Api::keep_pace() {
    const auto begin = pace_->reserve(config_.pace);
    const auto span = begin - Deadline::Clock::now();
    if (span <= std::chrono::nanoseconds(0)) {
        return;
    }
    if (span > std::chrono::seconds(5)) {
        log("info",
            fmt::format(
                "waiting {} for this account's turn", format_duration(std::chrono::duration_cast<milliseconds>(span))
            ));
    }
    if (!pause(std::chrono::ceil<milliseconds>(span))) {
        throw Error(ErrorKind::transient, "source.rate_limited", "the time of this attempt ended while it waited");
    }
}

void Api::wait(const Error& error, std::optional<std::chrono::seconds> retry_after) {
    if (tries_++ >= config_.retrying.retries) {
        throw Error(error);
    }
    auto most = config_.retrying.backoff;
    for (int i = 1; i < tries_ && most < longest_backoff; ++i) {
        most *= 2;
    }
    std::uint32_t draw = 0;
    random_bytes(&draw, sizeof draw);
    auto span = std::min<milliseconds>(most, longest_backoff) * (draw % 1024) / 1024;
    std::string asked;
    if (retry_after) {
        const bool absurd = *retry_after > config_.max_wait;
        span = absurd ? config_.max_wait : std::min<milliseconds>(*retry_after + span, config_.max_wait);
        asked = fmt::format(
            "; {} asks for {} s{}",
            config_.service,
            retry_after->count(),
            absurd ? ", which is more than `max_wait`" : ""
        );
        pace_->hold_until(Deadline::Clock::now() + span);
    }
    waited_ += span;
    const auto end = context_.deadline.when();
    const bool too_late = end != Deadline::Clock::time_point::max() && Deadline::Clock::now() + span > end;
    if (waited_ > config_.wait_budget || too_late) {
        throw Error(
            ErrorKind::transient,
            retry_after ? "source.rate_limited" : error.code(),
            fmt::format(
                "{} ({})",
                error.message(),
                too_late ? "the next try would be after the end of this attempt" : "`wait_budget` is spent"
            )
        );
    }
    log("warn",
        fmt::format(
            "{}; waiting {}, then try {} of {}{}",
            error.message(),
            format_duration(span),
            tries_ + 1,
            config_.retrying.retries + 1,
            asked
        ));
    pause(span);
}

net::HttpResponse Api::follow(net::HttpRequest request, std::optional<net::HttpResponse> begun) {
    address_ = request.url;
    for (int hops = 0;; ++hops) {
        auto response = begun ? std::move(*begun) : client_.begin(request, context_.stop);
        begun.reset();
        response.await_head();
        const int status = response.status();
        if (status < 300 || status > 399 || status == 304) {
            return response;
        }
        const auto target = std::string(response.headers().get("Location"));
        const auto where = target.empty() ? std::string() : resolve_reference(address_, target);
        const bool same = !where.empty() && origin_of(where) == origin_of(address_);
        const bool usable =
            config_.follow_redirects && hops < most_redirects && !where.empty() && request.method == "GET";
        if (!usable || (!same && config_.auth.kind != AuthKind::none)) {
            throw Error(
                ErrorKind::permanent,
                "source.redirect",
                fmt::format(
                    "HTTP {}: {} sends us {}",
                    status,
                    config_.service,
                    where.empty() ? "elsewhere without saying where"
                    : same        ? "to another path (`follow_redirects` is off, or there were too many)"
                                  : "to " + origin_of(where) +
                                 (config_.auth.kind != AuthKind::none ? ", where the credential may not follow" : "")
                )
            );
        }
        request.url = address_ = where;
    }
}

// nullopt: not now; wait() was called, and another try is due.
std::optional<net::HttpResponse> Api::once(const Ask& ask, std::optional<net::HttpResponse> begun) {
    const bool ahead = begun.has_value();
    if (!ahead) {
        keep_pace();
    }
    const auto sent = request(ask);
    std::optional<net::HttpResponse> response;
    try {
        response = follow(sent, std::move(begun));
    } catch (const Error& error) {
        if (!is_broken_exchange(error)) {
            throw in_source_words(error);
        }
        if (ahead) {
            refused_ahead();
        }
        wait(in_source_words(error));
        return std::nullopt;
    }
    const auto type = std::string(response->headers().get("Content-Type"));
    if (response->status() == 200) {
        if (is_json_type(type)) {
            return response;
        }
        throw Error(
            ErrorKind::permanent,
            "source.bad_data",
            fmt::format(
                "{} came as {} and not as JSON: {}", ask.what, one_line(type, 60), beginning_of(*response, sent)
            )
        );
    }
    if (ahead) {
        refused_ahead();
    }
    const Refusal refusal{response->status(), beginning_of(*response, sent)};
    const auto error = to_error(refusal, ask.what, good_pages_);
    // One 401 among good answers is a hiccup of the service; two are none.
    const bool hiccup = refusal.status == 401 && good_pages_ && !std::exchange(asked_again_after_401_, true);
    if (ask.optional && !refusal.worth_repeating()) {
        refused_ = refusal.status;
        return std::nullopt;
    }
    if (!refusal.worth_repeating() && !hiccup) {
        throw Error(error);
    }
    wait(
        error,
        parse_retry_after(
            response->headers().get("Retry-After"),
            std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
        )
    );
    return std::nullopt;
}

std::optional<net::HttpResponse> Api::begin(const Ask& ask) {
    const bool now = !one_at_a_time_ && pace_->reserve_now(config_.pace);
    return now ? std::optional(client_.begin(request(ask), context_.stop)) : std::nullopt;
}

// Perhaps it was one request too many at a time.
void Api::refused_ahead() {
    one_at_a_time_ = true;
    log("info", "a request that was sent ahead came to nothing: from here on one page at a time");
}

std::optional<net::HttpResponse> Api::open(const Ask& ask, std::optional<net::HttpResponse> begun) {
    if (!ask.url.empty()) {
        check_target(config_.auth, ask.url);
    }
    refused_ = 0;
    for (;;) {
        auto response = once(ask, std::exchange(begun, std::nullopt));
        if (response || refused_ != 0) {
            return response;
        }
    }
}

}  // namespace headrace::source::http
