// What the contract suite of sources needs from each: a server that it can reach, the same rows in its words, and a
// look at the far side. A new source adds a class like these and its name to the list in sources_test.cpp.
#pragma once

#include "app/process.hpp"
#include "base/encoding.hpp"
#include "net/address.hpp"
#include "net/http_client.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "source/http/http.hpp"
#include "support/bigquery/simulator.hpp"
#include "support/bigquery/wire.hpp"
#include "support/paths.hpp"
#include "support/servers.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace headrace::support {

using Egress = std::function<bool(const sockaddr*)>;

// Each bench has
//   type(), credential_type()   what registry.cpp adds; with an egress check, if one is given
//   port()                      where the server listens on 127.0.0.1
//   credential(port)            a good one, for the server behind that port; hosts allowed: 127.0.0.1
//   wrong_secret()              a secret that the server refuses, in the form of a good one
//   secrets(credential)         texts that no message may hold
//   table(rows)                 options for exactly the rows (id 1…rows, name: some 10 bytes of text)
//   invalid()                   options that make() refuses
//   refused()                   options for a read that the server refuses by its own words
//   endless()                   options for a read that does not end within minutes
//   running()                   reads of endless() that still run at the server
//   large(rows)                 as table(), on a server that keeps its memory out of this process

class ClickHouseBench {
public:
    // The test of a credential wants to see that there is something to read.
    ClickHouseBench() { ask("CREATE TABLE IF NOT EXISTS default.contract (n UInt64) ENGINE = Memory"); }

    static pipeline::SourceType type(Egress check = {}) { return source::clickhouse::type(std::move(check)); }

    static pipeline::CredentialType credential_type(Egress check = {}) {
        return source::clickhouse::credential_type(std::move(check));
    }

    std::uint16_t port() const { return net::parse_url(server_.url()).port; }

    pipeline::Credential credential(std::uint16_t port) const {
        pipeline::Credential out;
        out.name = "far";
        out.kind = "clickhouse";
        out.settings = {{"url", fmt::format("http://127.0.0.1:{}", port)}, {"user", "headrace"}};
        out.secret = server_.password();
        out.allowed_hosts = {"127.0.0.1"};
        return out;
    }

    static Secret wrong_secret() { return Secret("wrong-horse-battery-staple"); }

    static std::vector<std::string> secrets(const pipeline::Credential& credential) {
        return {std::string(credential.secret.reveal())};
    }

    static pipeline::Part table(std::uint64_t rows) {
        return part(fmt::format(
            "SELECT toInt64(number + 1) AS id, concat('name ', toString(number)) AS name FROM system.numbers LIMIT {}",
            rows
        ));
    }

    static pipeline::Part refused() { return part("SELECT nothing FROM nowhere"); }

    static pipeline::Part endless() {
        auto out = part("SELECT number AS id, sleepEachRow(0.02) AS contract_endless FROM system.numbers LIMIT 100000");
        out.options.values["max_block_size"] = "10";
        return out;
    }

    int running() const {
        return std::stoi(
            ask("SELECT count() FROM system.processes WHERE query LIKE '%contract_endless%' AND query NOT LIKE "
                "'%system.processes%'")
        );
    }

    pipeline::Part large(std::uint64_t rows) { return table(rows); }

    std::uint16_t large_port() const { return port(); }

    static pipeline::Part invalid() { return part(" ; "); }

private:
    static pipeline::Part part(std::string query) {
        pipeline::Part out;
        out.type = "clickhouse";
        out.options.values["query"] = std::move(query);
        return out;
    }

    // Past the connector.
    std::string ask(const std::string& sql) const {
        net::HttpRequest request;
        request.method = "POST";
        request.url = server_.url() + "/";
        request.headers = {{"X-ClickHouse-User", "headrace"}, {"X-ClickHouse-Key", server_.password().reveal()}};
        request.body = sql;
        net::HttpClient client;
        return client.fetch(request, {}).body;
    }

    app::PrivateClickHouse& server_ = servers().clickhouse();
};

class BigQueryBench {
public:
    ~BigQueryBench() {
        if (other_.pid() != 0 && other_.running()) {
            other_.terminate(SIGTERM, std::chrono::milliseconds(2'000));
        }
    }

    static pipeline::SourceType type(Egress check = {}) { return source::bigquery::type(std::move(check)); }

    static pipeline::CredentialType credential_type(Egress check = {}) {
        return source::bigquery::credential_type(std::move(check));
    }

    std::uint16_t port() const { return net::parse_url(simulator_.url()).port; }

    // Tokens are asked for past the proxy: they are made for one address.
    pipeline::Credential credential(std::uint16_t port) const {
        pipeline::Credential out;
        out.name = "far";
        out.kind = "bigquery";
        out.settings = {{"url", fmt::format("http://127.0.0.1:{}", port)}};
        out.secret = Secret(other_key_.empty() || port != other_port_ ? simulator_.key_file() : other_key_);
        out.allowed_hosts = {"127.0.0.1"};
        return out;
    }

    Secret wrong_secret() const { return Secret(stranger_.key_file(simulator_.token_uri(), "headrace-test")); }

    // A key file is one secret and a private key within it another.
    static std::vector<std::string> secrets(const pipeline::Credential& credential) {
        const std::string text(credential.secret.reveal());
        const auto at = text.find("PRIVATE KEY");
        return {text, text.substr(at + 20, 40), "ya29."};
    }

    pipeline::Part table(std::uint64_t rows) {
        simulator_.mend();
        simulator_.add(bigquery::mixed_table("headrace-test.d.t", rows));
        return part();
    }

    static pipeline::Part refused() { return part("SELECT nothing FROM t"); }

    static pipeline::Part invalid() { return part(" ; "); }

    pipeline::Part endless() {
        auto out = table(10);
        simulator_.inject({"wait", "pending", 100, "", 1, -1});
        return out;
    }

    int running() const {
        std::string last;
        for (const auto& one : simulator_.seen()) {
            const auto at = one.body.find("\"jobId\":\"");
            last = one.kind == "insert" ? one.body.substr(at + 9, one.body.find('"', at + 9) - at - 9) : last;
        }
        return simulator_.job_state(last) == "RUNNING" ? 1 : 0;
    }

    pipeline::Part large(std::uint64_t rows) {
        const auto folder = servers().fresh_folder();
        app::ProcessSpec spec;
        spec.argv = {
            (headrace_binary().parent_path() / "bigquery_simulator").string(),
            "--table",
            fmt::format("headrace-test.d.t={}", rows),
            "--page-rows",
            "20000",
            "--key-file",
            folder + "/key",
            "--address-file",
            folder + "/address"};
        spec.log_file = folder + "/log";
        other_ = app::ChildProcess::start(spec);
        const auto limit = Deadline::in(std::chrono::seconds(20));
        std::string address;
        while (!address.ends_with('\n') && !limit.passed()) {
            other_.wait(Deadline::in(std::chrono::milliseconds(5)), StopToken());
            address = whole_file(folder + "/address");
        }
        // Two lines; the second is Storage Read's.
        const auto rest = address.substr(0, address.find('\n'));
        other_port_ = static_cast<std::uint16_t>(std::stoi(rest.substr(rest.rfind(':') + 1)));
        other_key_ = whole_file(folder + "/key");
        return part();
    }

    std::uint16_t large_port() const { return other_port_; }

private:
    static std::string whole_file(const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    static pipeline::Part part(std::string query = "SELECT id, name FROM t") {
        pipeline::Part out;
        out.type = "bigquery";
        out.options.values = {
            {"query", std::move(query)},
            {"default_dataset", "d"},
            {"max_row_bytes", "33554432"},
            {"request_timeout", "600000"},
            {"backoff", "1"},
            {"retries", "1"}};
        return out;
    }

    bigquery::Tokens stranger_;  // signs with a key of its own
    bigquery::Simulator simulator_{{.page_rows = 1000}};
    app::ChildProcess other_;
    std::uint16_t other_port_ = 0;
    std::string other_key_;
};

// Pages of a list that is made while it is asked for; a read that hangs is one whose answer is still held here.
class HttpBench {
public:
    static pipeline::SourceType type(Egress check = {}) {
        return with_address(source::http::type(std::move(check), source::http::make_paces()));
    }

    static pipeline::CredentialType credential_type(Egress check = {}) {
        return source::http::credential_type(std::move(check));
    }

    std::uint16_t port() const { return listener_.port(); }

    pipeline::Credential credential(std::uint16_t port) const {
        pipeline::Credential out;
        out.name = "far";
        out.kind = "http";
        out.settings = {{"url", fmt::format("http://127.0.0.1:{}", port)}, {"user", "reader"}};
        out.secret = Secret("the right key");
        out.allowed_hosts = {"127.0.0.1"};
        return out;
    }

    Secret wrong_secret() const { return Secret("a wrong key"); }

    static std::vector<std::string> secrets(const pipeline::Credential& credential) {
        const std::string text(credential.secret.reveal());
        return {text, base64_encode("reader:" + text)};
    }

    static pipeline::Part table(std::uint64_t rows) { return part(fmt::format("/rows/{}", rows)); }

    static pipeline::Part refused() { return part("/refused"); }

    static pipeline::Part endless() { return part("/endless"); }

    static pipeline::Part invalid() {
        auto out = table(1);
        out.options.values["rows"] = "no pointer";
        return out;
    }

    int running() const {
        const std::lock_guard lock(mutex_);
        return held_.expired() ? 0 : 1;
    }

    static pipeline::Part large(std::uint64_t rows) { return table(rows); }

    std::uint16_t large_port() const { return port(); }

private:
    static constexpr std::uint64_t page_rows = 500;

    // The suite's address, perhaps that of a proxy, is in the credential; the path is in the options.
    static pipeline::SourceType with_address(pipeline::SourceType type) {
        type.make = [make = type.make](pipeline::Part part, const pipeline::Credential& credential) {
            part.options.values["url"] = credential.settings.at("url") + part.options.values["url"];
            return make(part, credential);
        };
        return type;
    }

    static pipeline::Part part(std::string path) {
        pipeline::Part out;
        out.type = "http";
        // What the loader of a file fills in.
        out.options.values = {
            {"url", std::move(path)},
            {"paging", "page"},
            {"backoff", "1"},
            {"retries", "1"},
            {"max_wait", "1000"},
            {"wait_budget", "1000"},
            {"request_timeout", "120000"},
            {"max_row_bytes", "4194304"},
            {"max_page_bytes", "1073741824"},
            {"max_pages", "1000000"},
            {"max_rows", "100000000"}};
        out.options.lists["columns"] = {"id", "int64!", "name", "string"};
        return out;
    }

    static void add_row(std::string& out, std::uint64_t id) {
        out += fmt::format("{}{{\"id\":{},\"name\":\"the name of {}\"}}", out.size() > 1 ? "," : "", id, id);
    }

    bigquery::Reply answer(const bigquery::Request& request) {
        bigquery::Reply out;
        out.headers = {{"Content-Type", "application/json"}};
        const auto login = request.headers.find("authorization");
        const auto right = "Basic " + base64_encode("reader:the right key");
        if (login == request.headers.end() || login->second != right) {
            out.status = 401;
            out.add(R"({"message":"who are you?"})");
        } else if (request.path == "/refused") {
            out.status = 400;
            out.add(R"({"message":"there is no such list"})");
        } else if (request.path == "/") {
            out.add("{}");
        } else if (request.path == "/endless") {
            out.damage = bigquery::Damage::hang;
            out.at = 1;
            out.add("[ ");
            const std::lock_guard lock(mutex_);
            held_ = out.body.front();
        } else {
            const auto rows = std::stoull(request.path.substr(request.path.rfind('/') + 1));
            const auto from = (std::stoull(request.query.at("page")) - 1) * page_rows + 1;
            std::string page = "[";
            for (auto id = from; id < from + page_rows && id <= rows; ++id) {
                add_row(page, id);
            }
            out.add(page + "]");
        }
        return out;
    }

    mutable std::mutex mutex_;
    std::weak_ptr<const std::string> held_;
    bigquery::Listener listener_{[this](const auto& request) { return answer(request); }};  // last: uses the others
};

}  // namespace headrace::support
