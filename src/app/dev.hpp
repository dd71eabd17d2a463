// `headrace dev`: everything in one place. Starts private servers in .headrace/, fills ClickHouse with sample data,
// runs the api and the worker as children of its own binary, and stops all of them at Ctrl-C.
#pragma once

#include <cstdint>
#include <string>

namespace headrace::app {

struct DevOptions {
    std::string data_dir = ".headrace";
    std::uint16_t port = 8090;
    bool once = false;   // run every pipeline once, print a table, stop
    bool reset = false;  // forget everything in data_dir first
};

int run_dev(const DevOptions& options);

}  // namespace headrace::app
