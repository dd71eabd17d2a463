// The api as a process, and a browser that talks to it.
#pragma once

#include "net/http_client.hpp"
#include "support/stack.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace headrace::support {

// One address, one session (none before login()). Throws what net::HttpClient throws.
class ApiClient {
public:
    using Lines = std::vector<std::pair<std::string, std::string>>;

    explicit ApiClient(std::string address) : address_(std::move(address)) {}

    // With the headers that the page sends.
    net::HttpReply ask(std::string method, const std::string& path, Lines headers = {}, std::string body = {});
    net::HttpReply trigger(const std::string& pipeline, const std::string& key);
    net::HttpReply login_with(const std::string& token);
    void login(Stack& stack);  // with a new link; throws std::runtime_error when it is refused

    std::string cookie;

private:
    std::string address_;
    net::HttpClient http_;
};

// `headrace api` on a free port of loopback.
class ApiProcess {
public:
    explicit ApiProcess(Stack& stack, const std::string& kill_at = {});

    const std::string& address() const { return address_; }

    HeadraceProcess& process() { return *process_; }

private:
    std::optional<HeadraceProcess> process_;
    std::string address_;
};

}  // namespace headrace::support
