// Calls to BigQuery with a token, tried again where that is right: a refused token is renewed once per call, refusals
// of the moment and broken connections are repeated with full jitter (Retry-After is honoured up to ten minutes).
// One thread.
//
// Errors: source.unavailable, source.timeout (transient) after the last try; source.auth; source.rate_limited when the
// server wants a longer wait than there is; http.egress; net.cancelled.
#pragma once

#include "pipeline/source.hpp"
#include "source/bigquery/refusal.hpp"
#include "source/bigquery/request.hpp"
#include "source/bigquery/token.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace headrace::source::bigquery {

// Waits between tries; one object per thing that is tried.
class Patience {
public:
    Patience(const Config& config, const pipeline::SourceContext& context) : config_(config), context_(context) {}

    // Returns false when there is no try left, else after the wait. Throws source.rate_limited, net.cancelled.
    bool wait(std::optional<std::chrono::milliseconds> retry_after = std::nullopt);
    // The same without waiting: how long; nullopt when there is no try left.
    std::optional<std::chrono::milliseconds> draw(std::optional<std::chrono::milliseconds> retry_after);

private:
    const Config& config_;
    const pipeline::SourceContext& context_;
    int tries_ = 0;
};

class Api {
public:
    // `config` outlives it.
    Api(const Config& config, std::function<bool(const sockaddr*)> egress_check);

    void use(const pipeline::SourceContext& context) { context_ = context; }

    void check_token();  // fetches one
    Secret token();      // a fresh one, for calls that do not go through here
    void drop_token();   // it was refused

    struct Answer {
        std::string body;
        std::optional<Refusal> refusal;
    };

    // A small document. A refusal for good, or of the last try, is a value.
    Answer ask(const Call& call);

    struct Page {
        std::optional<net::HttpResponse> response;  // its head is there
        std::optional<Refusal> refusal;
    };

    Page open(const Call& call);
    net::HttpResponse begin(const Call& call);  // sends; see HttpClient::begin
    // Like open(), for what begin() returned; nullopt when it came to nothing and open() should be asked.
    std::optional<net::HttpResponse> settle(net::HttpResponse begun);

    // One try within `deadline`, whatever the run's stop token says. The answer's body when BigQuery took it.
    std::optional<std::string> tell(const Call& call, Deadline deadline);

    const pipeline::SourceContext& context() const { return context_; }

private:
    net::HttpRequest request(const Call& call, Deadline deadline, const StopToken& stop);
    template <class Try>
    void insist(Try once);
    bool demand_json(const net::HttpResponse& response) const;

    const Config& config_;
    pipeline::SourceContext context_{{}, Deadline::never(), {}, {}, {}};
    net::HttpClient client_;
    TokenSource tokens_;
};

// An error of the HTTP client in the words of a source. Others pass unchanged.
Error in_source_words(const Error& error);
bool is_broken_exchange(const Error& error);  // worth another try of the same request

}  // namespace headrace::source::bigquery
