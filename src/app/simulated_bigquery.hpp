// The BigQuery simulator (tests/support/bigquery) as a child process of `headrace dev`. Simulated data only; whoever
// has the real service stores a credential of their own, and this is not started.
#pragma once

#include "app/process.hpp"
#include "base/secret.hpp"
#include "base/stop.hpp"

#include <string>

namespace headrace::app {

class SimulatedBigQuery {
public:
    // `dir` gets address, key file and log.
    explicit SimulatedBigQuery(std::string dir) : dir_(std::move(dir)) {}

    // False when the program is not there. Throws dev.server_failed, net.cancelled.
    bool start(const StopToken& stop);
    void stop();

    bool running() { return child_.pid() != 0 && child_.running(); }

    const std::string& url() const { return url_; }  // "" before start()

    const std::string& storage_url() const { return storage_url_; }

    Secret key_file() const;  // the text that it accepts

private:
    std::string dir_;
    std::string url_;
    std::string storage_url_;
    ChildProcess child_;
};

}  // namespace headrace::app
