// Sample tables for `headrace dev`: three files of npm vega-datasets (BSD-3-Clause) as ClickHouse tables
// headrace_demo.flights_airport, airports and flights_20k.
#pragma once

#include "base/secret.hpp"
#include "base/stop.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace headrace::app {

struct DemoTarget {
    std::string url;  // http://127.0.0.1:port of a ClickHouse
    std::string user;
    Secret password;  // of a user that may create databases
};

struct DemoTable {
    std::string name;
    std::uint64_t rows = 0;
    bool loaded = false;  // false: was there already, with as many rows as the file
};

// `data_dir` is node_modules/vega-datasets/data. A table whose row count is not the file's is emptied and loaded again,
// so that a load that was cut short is mended by the next call. Throws dev.data_missing (file not there),
// dev.server_failed (ClickHouse refused, or the count is wrong afterwards), http.* and net.cancelled.
std::vector<DemoTable> load_demo_data(const DemoTarget& target, const std::string& data_dir, const StopToken& stop);

}  // namespace headrace::app
