// The BigQuery simulator (tests/support/bigquery) as a child process of `headrace dev`. Simulated data only; whoever
// has the real service stores a credential of their own, and this is not started.
#pragma once

#include "app/simulator_process.hpp"
#include "base/secret.hpp"
#include "base/stop.hpp"

#include <string>

namespace headrace::app {

class SimulatedBigQuery {
public:
    // `dir` gets address, key file and log.
    explicit SimulatedBigQuery(std::string dir) : dir_(std::move(dir)) {}

    // As SimulatorProcess::start.
    bool start(const StopToken& stop);

    void stop() { process_.stop(); }

    bool running() { return process_.running(); }

    std::string url() const { return process_.address(0); }  // "" before start(), as the next

    std::string storage_url() const { return process_.address(1); }

    Secret key_file() const;  // the text that it accepts

private:
    std::string dir_;
    SimulatorProcess process_;
};

}  // namespace headrace::app
