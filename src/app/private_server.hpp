// One private server of ours: the part that PostgreSQL, Redis and ClickHouse have in common. See servers.hpp.
#pragma once

#include "app/process.hpp"
#include "app/server_home.hpp"
#include "base/stop.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace headrace::app {

enum class StopMode { fast, immediate };  // with a last flush, or without

class PrivateServer {
public:
    virtual ~PrivateServer() = default;
    PrivateServer(const PrivateServer&) = delete;
    PrivateServer& operator=(const PrivateServer&) = delete;

    // Returns when it answers. Made at the first time: folder, passwords, database. Nothing when it runs already.
    void start(const StopToken& stop);
    void stop(StopMode mode = StopMode::fast);  // returns when it has ended; nothing when it does not run
    void crash();                               // SIGKILL to it and to its children, as a power cut; start() recovers

    const std::string& name() const { return home_.name(); }

    const std::string& dir() const { return home_.path(); }

    bool moved() const { return home_.moved(); }  // dir() is not the wanted one: its account cannot get there

    std::string log_file() const { return home_.log_file(); }

    bool running() { return child_.running(); }

    pid_t pid() const { return child_.pid(); }

    int fd() const { return child_.fd(); }  // readable once it has ended: for whoever watches it; -1 before start()

protected:
    PrivateServer(const std::string& dir, std::string name, std::chrono::milliseconds start_limit);

    virtual void prepare(const StopToken& stop) = 0;  // before the first try of a start: make what is missing
    virtual ProcessSpec command(bool new_port) = 0;   // writes the configuration
    virtual bool ready() = 0;                         // does it answer now
    virtual int stop_signal(StopMode mode) const = 0;

    ProcessSpec spec(std::vector<std::string> argv) const;  // with user, folder, log and a bare environment
    [[noreturn]] void fail(const std::string& what) const;

    ServerHome home_;
    ChildProcess child_;

private:
    bool await(const StopToken& stop);

    std::chrono::milliseconds start_limit_;
};

}  // namespace headrace::app
