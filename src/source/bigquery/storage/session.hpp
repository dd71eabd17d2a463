// A read session: the connection to the Storage Read API and the list of streams over one table. One thread.
//
// Errors: those of outcome.hpp and of Api (tokens); source.timeout; source.unsupported without the module; net.dns,
// net.timeout (transient) for the name of the server; http.egress; net.cancelled.
#pragma once

#include "net/wait.hpp"
#include "source/bigquery/answer.hpp"
#include "source/bigquery/api.hpp"
#include "source/bigquery/storage/wire.hpp"

#include <functional>
#include <memory>
#include <string>

struct sockaddr;

namespace headrace::source::bigquery::storage {

struct OpenSession {
    std::shared_ptr<net::Waker> waker;  // wakes when a call has something new
    std::unique_ptr<Wire> wire;
    Session session;
};

// Each address of the server passes `egress_check` before it is connected to.
OpenSession open_session(
    const Config& config,
    Api& api,
    const TableName& table,
    const std::function<bool(const sockaddr*)>& egress_check
);

// Until the waker wakes or `until` passed; drains it. Throws source.timeout at the end of the attempt, net.cancelled.
void wait_for_news(const net::Waker& waker, Deadline until, const pipeline::SourceContext& context);

}  // namespace headrace::source::bigquery::storage
