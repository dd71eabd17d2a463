#include "source/bigquery/storage/session.hpp"

#include "net/address.hpp"
#include "net/resolve.hpp"
#include "source/bigquery/storage/outcome.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace headrace::source::bigquery::storage {
namespace {

constexpr auto lookup_patience = std::chrono::seconds(20);
constexpr auto session_patience = std::chrono::seconds(60);
constexpr auto slack = std::chrono::seconds(5);  // gRPC ends a call at its deadline by itself; if it does not, we do
constexpr std::size_t most_envelope_bytes = 64 * 1024;  // of a response, around its rows
constexpr const char* system_roots = "/etc/ssl/certs/ca-certificates.crt";

// "ipv4:1.2.3.4:443,5.6.7.8:443", the addresses of one family.
std::string target_of(const std::vector<net::Endpoint>& endpoints) {
    std::string out;
    for (const auto& one : endpoints) {
        if (one.family() != endpoints.front().family()) {
            continue;
        }
        char text[INET6_ADDRSTRLEN] = {};
        if (one.family() == AF_INET) {
            const auto* name = reinterpret_cast<const sockaddr_in*>(one.get());
            ::inet_ntop(AF_INET, &name->sin_addr, text, sizeof text);
            out += fmt::format("{}{}:{}", out.empty() ? "ipv4:" : ",", text, ntohs(name->sin_port));
        } else {
            const auto* name = reinterpret_cast<const sockaddr_in6*>(one.get());
            ::inet_ntop(AF_INET6, &name->sin6_addr, text, sizeof text);
            out += fmt::format("{}[{}]:{}", out.empty() ? "ipv6:" : ",", text, ntohs(name->sin6_port));
        }
    }
    return out;
}

std::string read_roots(const std::string& file) {
    std::ifstream in(file.empty() ? system_roots : file, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (text.empty()) {
        throw Error(
            ErrorKind::permanent,
            "http.tls",
            fmt::format("{} holds no certificates of authorities", file.empty() ? system_roots : file)
        );
    }
    return text;
}

WireOptions wire_options(
    const Config& config,
    const pipeline::SourceContext& context,
    const std::function<bool(const sockaddr*)>& egress_check
) {
    const auto url = net::parse_url(config.storage_url);
    const bool tls = url.scheme == "https";
    const net::Address address{url.host, url.port_or(tls ? 443 : 80), ""};
    const auto endpoints = net::resolve(address, Deadline::in(lookup_patience).earlier(context.deadline), context.stop);
    const bool allowed = !egress_check || std::all_of(endpoints.begin(), endpoints.end(), [&](const auto& one) {
        return egress_check(one.get());
    });
    if (!allowed) {
        throw Error(ErrorKind::permanent, "http.egress", address.text() + ": this address may not be called");
    }
    WireOptions out;
    out.target = target_of(endpoints);
    out.host = address.port == 443 ? address.host : address.text();
    if (tls) {
        out.roots = read_roots(config.ca_file);
    }
    out.most_message_bytes = static_cast<std::size_t>(config.max_row_bytes) + most_envelope_bytes;
    return out;
}

SessionWish wish_of(const Config& config, const pipeline::SourceContext& context, const TableName& table) {
    return {
        "projects/" + config.project,
        fmt::format("projects/{}/datasets/{}/tables/{}", table.project, table.dataset, table.table),
        "headrace:" + context.run_id,
        config.max_streams};
}

Outcome await_session(
    const SessionCall& call,
    const net::Waker& waker,
    Deadline patience,
    const pipeline::SourceContext& context
) {
    for (;;) {
        if (auto outcome = call.outcome()) {
            return std::move(*outcome);
        }
        if (patience.passed()) {
            return {Code::deadline_exceeded, "no answer", std::nullopt};
        }
        wait_for_news(waker, patience, context);
    }
}

}  // namespace

void wait_for_news(const net::Waker& waker, Deadline until, const pipeline::SourceContext& context) {
    net::wait_readable(waker.fd(), until.earlier(context.deadline), context.stop);
    waker.drain();
    context.stop.throw_if_stopped();
    if (context.deadline.passed()) {
        throw Error(ErrorKind::transient, "source.timeout", "the time of this attempt is over");
    }
}

OpenSession open_session(
    const Config& config,
    Api& api,
    const TableName& table,
    const std::function<bool(const sockaddr*)>& egress_check
) {
    const auto& context = api.context();
    OpenSession out;
    out.waker = std::make_shared<net::Waker>();
    auto options = wire_options(config, context, egress_check);
    options.wake = [waker = out.waker] { waker->wake(); };
    out.wire = open_wire(options);
    Patience patience(config, context);
    bool renewed = false;
    for (;;) {
        const auto span = std::min<std::chrono::milliseconds>(session_patience, config.request_timeout);
        const auto call = out.wire->create_session(wish_of(config, context, table), api.token().reveal(), span);
        const auto outcome = await_session(*call, *out.waker, Deadline::in(span + slack), context);
        if (outcome.code == Code::ok) {
            out.session = call->session();
            return out;
        }
        if (outcome.code == Code::unauthenticated && !std::exchange(renewed, true)) {
            api.drop_token();
            continue;
        }
        if (!worth_repeating(outcome) || !patience.wait(outcome.retry_after)) {
            throw to_error(outcome, "open a read session");
        }
    }
}

}  // namespace headrace::source::bigquery::storage
