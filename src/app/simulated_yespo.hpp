// The Yespo simulator (tests/support/yespo) as a child process of `headrace dev`. Simulated contacts only; whoever has
// the real service stores a credential of their own, and that is used.
#pragma once

#include "app/process.hpp"
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

    // False when the program is not there. Throws dev.server_failed, net.cancelled.
    bool start(const StopToken& stop);
    void stop();

    bool running() { return child_.pid() != 0 && child_.running(); }

    const std::string& url() const { return url_; }  // base address; "" before start()

    std::string host() const;  // host:port

    const std::vector<SimulatedAccount>& accounts() const { return accounts_; }

private:
    std::string dir_;
    std::string url_;
    std::vector<SimulatedAccount> accounts_;
    ChildProcess child_;
};

}  // namespace headrace::app
