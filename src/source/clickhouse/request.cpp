#include "source/clickhouse/request.hpp"

#include "base/encoding.hpp"
#include "data/batch.hpp"

#include <algorithm>

namespace headrace::source::clickhouse {
namespace {

constexpr std::string_view overflow_modes[] =
    {"timeout", "result", "read", "group_by", "sort", "distinct", "join", "set", "transfer"};
constexpr std::size_t receive_buffer = 256 * 1024;  // stays in the second-level cache

// As in TabSeparated: that is how the server reads the value of a parameter.
std::string escaped(std::string_view text) {
    constexpr std::string_view special("\\\t\n\r\0\b\f", 7);
    constexpr std::string_view letters = "\\tnr0bf";
    std::string out;
    for (const char c : text) {
        if (const auto at = special.find(c); at != std::string_view::npos) {
            out += '\\';
            out += letters[at];
        } else {
            out += c;
        }
    }
    return out;
}

bool has(const std::vector<std::pair<std::string, std::string>>& list, std::string_view name) {
    return std::any_of(list.begin(), list.end(), [&](const auto& entry) { return entry.first == name; });
}

}  // namespace

std::vector<std::pair<std::string, std::string>>
wanted_settings(const Config& config, Deadline deadline, int server_major) {
    std::vector<std::pair<std::string, std::string>> out = config.settings;
    const auto want = [&](std::string name, std::string value) {
        if (!has(config.settings, name)) {
            out.emplace_back(std::move(name), std::move(value));
        }
    };
    want("max_block_size", std::to_string(config.max_block_size));
    want("preferred_block_size_bytes", std::to_string(data::target_batch_bytes));
    for (const auto mode : overflow_modes) {  // the other modes truncate with status 200
        want(std::string(mode) + "_overflow_mode", "throw");
    }
    if (server_major >= 21) {
        want("read_overflow_mode_leaf", "throw");
    }
    if (config.compress) {
        want("enable_http_compression", "1");
    }
    if (deadline.when() != Deadline::Clock::time_point::max()) {
        const auto left = std::chrono::ceil<std::chrono::seconds>(deadline.when() - Deadline::Clock::now()).count();
        want("max_execution_time", std::to_string(std::max<long long>(left, 1)));
    }
    return out;
}

net::HttpRequest make_request(const Config& config, const Ask& ask, Deadline deadline) {
    net::HttpRequest request;
    request.method = "POST";
    request.url = config.base_url;
    char separator = '?';
    const auto add = [&](std::string_view name, std::string_view value) {
        request.url += separator;
        request.url += percent_encode(name) + '=' + percent_encode(value);
        separator = '&';
    };
    add("default_format", ask.format);
    if (!config.database.empty()) {
        add("database", config.database);
    }
    if (!ask.query_id.empty()) {
        add("query_id", ask.query_id);
    }
    for (const auto& [name, value] : ask.parameters) {
        add(name, value);
    }
    for (const auto& [name, value] : config.parameters) {
        if (ask.query_parameters) {
            add("param_" + name, escaped(value));
        }
    }
    request.headers = {{"X-ClickHouse-User", config.user}, {"Content-Type", "text/plain; charset=utf-8"}};
    if (!config.password.empty()) {
        request.headers.emplace_back("X-ClickHouse-Key", config.password.reveal());
    }
    request.body = ask.sql;
    request.accept_compressed = ask.compress;
    request.ca_file = config.ca_file;
    request.deadline = deadline;
    // A long aggregation is silent until it has ended: only the deadline bounds it.
    request.idle_timeout = std::chrono::hours(24);
    request.buffer_bytes = receive_buffer;
    return request;
}

std::string quoted(std::string_view text, char quote) {
    std::string out(1, quote);
    for (const char c : text) {
        if (c == quote || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + quote;
}

std::string kill_sql(std::string_view query_id) {
    return "KILL QUERY WHERE query_id = " + quoted(query_id, '\'') + " ASYNC";
}

std::string describe_sql(std::string_view query) {
    return "DESCRIBE TABLE (\n" + std::string(query) + "\n)";  // the line end closes a comment at the end of the query
}

std::vector<std::vector<std::string>> parse_tsv(std::string_view text) {
    std::vector<std::vector<std::string>> rows;
    bool open = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!open) {
            rows.emplace_back(1);
            open = true;
        }
        const char c = text[i];
        if (c == '\n') {
            open = false;
        } else if (c == '\t') {
            rows.back().emplace_back();
        } else if (c == '\\' && i + 1 < text.size()) {
            constexpr std::string_view letters = "bfrnt0";
            constexpr std::string_view meant("\b\f\r\n\t\0", 6);
            const auto at = letters.find(text[++i]);
            rows.back().back() += at == std::string_view::npos ? text[i] : meant[at];
        } else {
            rows.back().back() += c;
        }
    }
    return rows;
}

}  // namespace headrace::source::clickhouse
