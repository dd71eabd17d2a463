#include "source/clickhouse/server.hpp"

#include "base/error.hpp"
#include "base/log.hpp"
#include "source/clickhouse/exception.hpp"

#include <fmt/core.h>

#include <charconv>
#include <utility>

namespace headrace::source::clickhouse {
namespace {

constexpr auto connect_patience = std::chrono::seconds(15);
constexpr auto kill_patience = std::chrono::seconds(5);
// Servers before 23.11 close an idle connection after 3 s.
constexpr std::chrono::seconds idle_connection{2};

net::HttpClientOptions client_options(std::function<bool(const sockaddr*)> egress_check) {
    net::HttpClientOptions options;
    options.max_idle_connection = idle_connection;
    options.egress_check = std::move(egress_check);
    return options;
}

}  // namespace

Error in_source_words(const Error& error, Phase phase) {
    if (error.code() == "http.timeout" && phase != Phase::connect) {
        return Error(ErrorKind::transient, "source.timeout", error.message());
    }
    if (error.code() == "http.protocol" && phase == Phase::read) {
        return Error(ErrorKind::transient, "source.incomplete", error.message());
    }
    if (error.code().starts_with("http.") && error.code() != "http.egress") {
        return Error(error.kind(), "source.unavailable", error.message());
    }
    return error;
}

Server::Server(const Config& config, std::function<bool(const sockaddr*)> egress_check)
    : config_(config), egress_check_(std::move(egress_check)), client_(client_options(egress_check_)) {}

net::HttpReply Server::ask(const Ask& ask, Phase phase, Deadline deadline) {
    return speaking(phase, [&] {
        auto reply = client_.fetch(make_request(config_, ask, deadline.earlier(context_.deadline)), context_.stop);
        if (reply.status != 200 || reply.headers.has("X-ClickHouse-Exception-Code")) {
            throw to_error(parse_exception(reply.body), reply.status, false);
        }
        return reply;
    });
}

std::vector<std::string> Server::ask_row(std::string_view sql, std::size_t cells, Deadline deadline) {
    auto rows = parse_tsv(ask({std::string(sql), "", {}}, Phase::connect, deadline).body);
    if (rows.size() != 1 || rows[0].size() != cells) {
        throw Error(
            ErrorKind::permanent, "source.unavailable", config_.origin + " does not answer as a ClickHouse server"
        )
            .with_hint("Is this the address of ClickHouse's HTTP interface (8123, or 8443 with TLS)?");
    }
    return std::move(rows[0]);
}

void Server::learn() {
    const auto deadline = Deadline::in(connect_patience);
    std::vector<std::string> row;
    try {
        row = ask_row(server_sql, 2, deadline);
    } catch (const Error& error) {
        // A user who may not see system.settings: the version alone, and find the rest out by trying.
        const bool not_granted = error.message().find("(code 497)") != std::string::npos;
        if (error.code() != "source.query" && !not_granted) {
            throw;
        }
        row = ask_row("SELECT version(), ''", 2, deadline);
    }
    if (row[0].empty() || row[0].size() > 64) {
        throw Error(
            ErrorKind::permanent, "source.unavailable", config_.origin + " does not answer as a ClickHouse server"
        );
    }
    version_ = row[0];
    std::from_chars(version_.data(), version_.data() + version_.size(), major_);
    takes_settings_ = row[1] != "1";
}

void Server::kill(const std::string& query_id) noexcept {
    try {
        net::HttpClient client(client_options(egress_check_));
        const auto request = make_request(config_, {kill_sql(query_id), "", {}}, Deadline::in(kill_patience));
        const auto reply = client.fetch(request, StopToken());
        if (reply.status == 200) {
            say("info", fmt::format("asked ClickHouse to stop query {}", query_id));
        } else {
            say("warn",
                fmt::format("ClickHouse did not stop query {}: {}", query_id, parse_exception(reply.body).message));
        }
    } catch (const std::exception& error) {
        log::warn("a query may still run at ClickHouse", {{"query_id", query_id}, {"error", error.what()}});
    } catch (...) {
        log::warn("a query may still run at ClickHouse", {{"query_id", query_id}});
    }
}

}  // namespace headrace::source::clickhouse
