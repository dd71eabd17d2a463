// Reads from the BigQuery simulator as a run does.
#pragma once

#include "base/error.hpp"
#include "data/json.hpp"
#include "source/bigquery/bigquery.hpp"
#include "support/bigquery/simulator.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace headrace::test {

using support::bigquery::Simulator;

struct BigQueryWish {
    std::string query = "SELECT * FROM t";
    std::map<std::string, std::string> values = {};
    std::map<std::string, std::vector<std::string>> lists = {};
    std::map<std::string, std::string> settings = {};
    std::string key = "";  // "" = the simulator's service account
    StopToken stop = {};
    std::optional<Deadline> deadline = std::nullopt;  // else 30 s from the begin of the read
};

struct BigQueryRead {
    std::string rows;  // JSON lines
    std::uint64_t count = 0;
    data::Schema schema;
    std::string code;
    ErrorKind kind = ErrorKind::bug;
    std::string message;
    std::string proof;
    std::vector<std::string> log;

    bool logged(std::string_view text) const {
        return std::any_of(log.begin(), log.end(), [&](const auto& line) { return line.find(text) != line.npos; });
    }
};

using EgressCheck = std::function<bool(const sockaddr*)>;

inline std::unique_ptr<pipeline::Source>
make_source(Simulator& simulator, const BigQueryWish& wish, EgressCheck egress_check = {}) {
    pipeline::Part part;
    part.type = "bigquery";
    part.options.values = {
        {"query", wish.query},
        {"default_dataset", "d"},
        {"max_row_bytes", "33554432"},
        {"backoff", "1"},
        {"retries", "2"},
        {"request_timeout", "5000"}};
    for (const auto& [name, value] : wish.values) {
        part.options.values[name] = value;
    }
    part.options.lists.insert(wish.lists.begin(), wish.lists.end());
    pipeline::Credential credential;
    credential.name = "bq";
    credential.kind = "bigquery";
    credential.settings = {{"url", simulator.url()}};
    for (const auto& [name, value] : wish.settings) {
        credential.settings[name] = value;
    }
    credential.secret = Secret(wish.key.empty() ? simulator.key_file() : wish.key);
    credential.allowed_hosts = {"127.0.0.1"};
    return source::bigquery::type(std::move(egress_check)).make(part, credential);
}

inline BigQueryRead read_all(
    Simulator& simulator,
    const BigQueryWish& wish = {},
    EgressCheck egress_check = {},
    const std::function<void()>& after_batch = {}
) {
    BigQueryRead out;
    try {
        const auto source = make_source(simulator, wish, std::move(egress_check));
        const auto attempt = "a" + std::to_string(simulator.count("insert"));
        const auto deadline = wish.deadline.value_or(Deadline::in(std::chrono::seconds(30)));
        source->connect({wish.stop, deadline, "0190-run", attempt, [&](std::string_view, std::string line) {
                             out.log.push_back(std::move(line));
                         }});
        out.schema = source->query();
        const data::JsonEncoder encoder(out.schema);
        data::Batch batch;
        for (batch.reset(out.schema); source->next(batch); batch.reset(out.schema)) {
            EXPECT_EQ(batch.first_row, out.count);
            out.count += batch.rows();
            data::Buffer<char> text;
            for (std::size_t row = 0; row < batch.rows(); ++row) {
                encoder.append_object(text, batch, row);
                text.push_back('\n');
            }
            out.rows += data::view(text);
            if (after_batch) {
                after_batch();
            }
        }
        EXPECT_EQ(source->completeness().rows, out.count);
        out.proof = source->completeness().proof;
    } catch (const Error& error) {
        out.code = error.code();
        out.kind = error.kind();
        out.message = error.what();
    }
    return out;
}

}  // namespace headrace::test
