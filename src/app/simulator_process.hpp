// A simulator (tests/support/…) as a child process of `headrace dev`: found beside the program, started, its addresses
// read. One thread.
#pragma once

#include "app/process.hpp"
#include "base/stop.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::app {

class SimulatorProcess {
public:
    // Waits for its addresses; `dir` gets them and its log. False when there is no such program. Throws
    // dev.server_failed, net.cancelled.
    bool start(
        const std::string& dir,
        std::string_view program,
        const std::vector<std::string>& arguments,
        const StopToken& stop
    );
    void stop();

    bool running() { return child_.pid() != 0 && child_.running(); }

    // The line of that number in its address file, from 0; "" before start() and where there is none.
    std::string address(std::size_t number) const;

private:
    std::vector<std::string> addresses_;
    ChildProcess child_;
};

}  // namespace headrace::app
