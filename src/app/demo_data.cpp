#include "app/demo_data.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "net/http_client.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string_view>

namespace headrace::app {
namespace {

struct Table {
    const char* name;
    const char* file;
    const char* columns;
    const char* order;
};

constexpr Table tables[] = {
    {"flights_airport",
     "flights-airport.csv",
     "origin String, destination String, count UInt32",
     "(origin, destination)"},
    {"airports",
     "airports.csv",
     "iata String, name String, city String, state String, country String, latitude Float64, longitude Float64",
     "iata"},
    {"flights_20k",
     "flights-20k.json",
     "date DateTime, delay Int32, distance Int32, origin String, destination String",
     "(date, origin, destination)"},
};

class ClickHouse {
public:
    ClickHouse(const DemoTarget& target, const StopToken& stop) : target_(target), stop_(stop) {}

    std::string run(const std::string& query, std::string body = "") {
        net::HttpRequest request;
        request.method = "POST";
        request.url = fmt::format("{}/?query={}", target_.url, percent_encode(query));
        request.headers = {{"X-ClickHouse-User", target_.user}, {"X-ClickHouse-Key", target_.password.reveal()}};
        request.body = std::move(body);
        request.deadline = Deadline::in(std::chrono::seconds(60));
        auto reply = client_.fetch(request, stop_);
        if (reply.status != 200) {
            throw Error(
                ErrorKind::permanent,
                "dev.server_failed",
                fmt::format("ClickHouse refused \"{}\": {}", query, reply.body.substr(0, 500))
            );
        }
        return reply.body;
    }

    std::uint64_t rows(const char* table) {
        const auto text = run(fmt::format("SELECT count() FROM headrace_demo.{}", table));
        std::uint64_t count = 0;
        std::from_chars(text.data(), text.data() + text.size(), count);
        return count;
    }

private:
    const DemoTarget& target_;
    const StopToken& stop_;
    net::HttpClient client_;
};

std::string file_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        throw Error(ErrorKind::permanent, "dev.data_missing", "there is no sample file " + path);
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Rows {
    std::string csv;  // with a line of names
    std::uint64_t count = 0;
};

Rows rows_of_csv(std::string text) {
    if (!text.empty() && text.back() != '\n') {
        text += '\n';
    }
    const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    return {std::move(text), lines == 0 ? 0 : lines - 1};
}

// [{"date":"2001/01/01 00:47","delay":66,…}]: ClickHouse wants dates with dashes and seconds.
Rows rows_of_flights(const std::string& text) {
    Rows rows{"date,delay,distance,origin,destination\n", 0};
    const auto parsed = boost::json::parse(text);
    for (const auto& item : parsed.as_array()) {
        const auto& flight = item.as_object();
        std::string date(flight.at("date").as_string());
        std::replace(date.begin(), date.end(), '/', '-');
        rows.csv += fmt::format(
            "{}:00,{},{},{},{}\n",
            date,
            flight.at("delay").as_int64(),
            flight.at("distance").as_int64(),
            std::string_view(flight.at("origin").as_string()),
            std::string_view(flight.at("destination").as_string())
        );
        ++rows.count;
    }
    return rows;
}

DemoTable load(ClickHouse& server, const Table& table, const std::string& data_dir) {
    auto text = file_text(fmt::format("{}/{}", data_dir, table.file));
    auto rows = std::string_view(table.file).ends_with(".csv") ? rows_of_csv(std::move(text)) : rows_of_flights(text);
    server.run(fmt::format(
        "CREATE TABLE IF NOT EXISTS headrace_demo.{} ({}) ENGINE = MergeTree ORDER BY {}",
        table.name,
        table.columns,
        table.order
    ));
    if (server.rows(table.name) == rows.count) {
        return {table.name, rows.count, false};
    }
    server.run(fmt::format("TRUNCATE TABLE headrace_demo.{}", table.name));
    server.run(fmt::format("INSERT INTO headrace_demo.{} FORMAT CSVWithNames", table.name), std::move(rows.csv));
    const auto found = server.rows(table.name);
    if (found != rows.count) {
        throw Error(
            ErrorKind::permanent,
            "dev.server_failed",
            fmt::format("sample table {} has {} rows after loading {}", table.name, found, rows.count)
        );
    }
    return {table.name, rows.count, true};
}

}  // namespace

std::vector<DemoTable> load_demo_data(const DemoTarget& target, const std::string& data_dir, const StopToken& stop) {
    ClickHouse server(target, stop);
    server.run("CREATE DATABASE IF NOT EXISTS headrace_demo");
    std::vector<DemoTable> result;
    for (const auto& table : tables) {
        result.push_back(load(server, table, data_dir));
    }
    return result;
}

}  // namespace headrace::app
