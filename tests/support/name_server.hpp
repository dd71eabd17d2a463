// A DNS server of the test's own, on UDP port 53 of a loopback address, and a resolv.conf that names it. Who is to ask
// it runs in a mount namespace of its own, where that file lies over /etc/resolv.conf. Needs the rights for both:
// ready() says whether there is a server; a test that cannot have one skips itself.
#pragma once

#include "base/fd.hpp"
#include "net/wait.hpp"

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace headrace::support {

class NameServer {
public:
    // What every name means: an IPv4 address, or one of these.
    static constexpr const char* no_such_name = "NXDOMAIN";
    static constexpr const char* broken = "SERVFAIL";
    static constexpr const char* silent = "";

    NameServer();
    ~NameServer();
    NameServer(const NameServer&) = delete;
    NameServer& operator=(const NameServer&) = delete;

    bool ready() const { return static_cast<bool>(socket_); }

    // One after another, one for each question for an IPv4 address; the last one stays. No answer lives longer than 0
    // s.
    void answer(std::vector<std::string> answers);
    int asked() const;  // questions for an IPv4 address since answer()

    // Command line that runs `program` with its arguments where this server is asked.
    std::vector<std::string> wrap(std::vector<std::string> program) const;
    // Runs `body` on a thread of its own that asks this server; false when there is no right to do so.
    bool run_here(const std::function<void()>& body) const;

private:
    void serve();
    std::string next();
    std::string reply_to(std::string_view question);

    std::string resolv_conf_;
    Fd socket_;
    net::Waker stop_;
    mutable std::mutex mutex_;
    std::vector<std::string> answers_{no_such_name};
    std::string given_ = no_such_name;  // the last one
    int asked_ = 0;
    std::thread thread_;
};

}  // namespace headrace::support
