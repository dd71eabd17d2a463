// Requests to a service, tried again where that is right: refusals of the moment and broken connections are repeated
// with full jitter, Retry-After is honoured up to `max_wait`, all waits of an attempt share `wait_budget`. A wait is a
// line in the run's log; it ends at once when the run is stopped. One thread.
//
// Errors: source.unavailable, source.timeout, source.rate_limited (transient) after the last try or when the budget is
// spent; source.auth; source.redirect, source.query (permanent); source.bad_data (permanent) for an answer that is no
// JSON; credential.host_denied; http.egress; net.cancelled.
#pragma once

#include "net/http_client.hpp"
#include "pipeline/source.hpp"
#include "source/http/config.hpp"
#include "source/http/pace.hpp"
#include "source/http/paging.hpp"
#include "source/http/refusal.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

struct sockaddr;

namespace headrace::source::http {

class Api {
public:
    // `config` outlives it.
    Api(const Config& config, std::function<bool(const sockaddr*)> egress_check, std::shared_ptr<Pace> pace);

    void use(const pipeline::SourceContext& context) { context_ = context; }

    // The head of the answer is there, and it is a page. nullopt: refused, and the request was an optional one.
    // `begun`: the first try, which is under way.
    std::optional<net::HttpResponse> open(const Ask& ask, std::optional<net::HttpResponse> begun = std::nullopt);
    // Sends the request and does not wait, so that its page arrives while another one is read. nullopt: it would have
    // to wait for its turn, or such a request was refused before.
    std::optional<net::HttpResponse> begin(const Ask& ask);

    // A page broke or was refused: waits before the next try of it. Throws `error` when there is no try left, and
    // source.rate_limited when the budget is spent.
    void wait(const Error& error, std::optional<std::chrono::seconds> retry_after = std::nullopt);

    void page_is_whole() {  // the next one has all its tries
        tries_ = 0;
        good_pages_ = true;
        asked_again_after_401_ = false;
    }

    // Where the page that was opened last came from.
    const std::string& address() const { return address_; }

    const pipeline::SourceContext& context() const { return context_; }

    void log(std::string_view level, std::string message) const;

private:
    net::HttpRequest request(const Ask& ask) const;
    std::optional<net::HttpResponse> once(const Ask& ask, std::optional<net::HttpResponse> begun);
    net::HttpResponse follow(net::HttpRequest request, std::optional<net::HttpResponse> begun);
    void keep_pace();
    void refused_ahead();
    bool pause(std::chrono::milliseconds span);

    const Config& config_;
    pipeline::SourceContext context_{{}, Deadline::never(), {}, {}, {}};
    net::HttpClient client_;
    std::shared_ptr<Pace> pace_;
    std::string address_;
    std::chrono::milliseconds waited_{0};
    int tries_ = 0;
    bool good_pages_ = false;
    bool one_at_a_time_ = false;
    bool asked_again_after_401_ = false;
    int refused_ = 0;  // status that an optional request got
};

// An error of the HTTP client in the words of a source. Others pass unchanged.
Error in_source_words(const Error& error);
bool is_broken_exchange(const Error& error);  // worth another try of the same request

}  // namespace headrace::source::http
