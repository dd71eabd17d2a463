// The Yespo simulator (tests/support/yespo) as a child process of `headrace dev`. Simulated contacts only; whoever has
// the real service stores a credential of their own, and that is used.
#pragma once

#include "app/simulator_process.hpp"
#include "base/secret.hpp"
#include "base/stop.hpp"

#include <string>
#include <vector>

namespace headrace::app {

// One account of it: a pipeline's credential, its group and its API key.
struct SimulatedAccount {
    std::string credential;
    std::string group;
    int contacts = 0;
    Secret key;
};

class SimulatedYespo {
public:
    // `dir` gets address and log.
    explicit SimulatedYespo(std::string dir);

    // As SimulatorProcess::start.
    bool start(const StopToken& stop);

    void stop() { process_.stop(); }

    bool running() { return process_.running(); }

    std::string url() const { return process_.address(0); }  // base address; "" before start()

    std::string host() const;  // host:port

    const std::vector<SimulatedAccount>& accounts() const { return accounts_; }

private:
    std::string dir_;
    std::vector<SimulatedAccount> accounts_;
    SimulatorProcess process_;
};

}  // namespace headrace::app
