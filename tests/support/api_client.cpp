#include "support/api_client.hpp"

#include "auth/login_token.hpp"

#include <fmt/core.h>

#include <fstream>
#include <stdexcept>

namespace headrace::support {
namespace {

constexpr std::chrono::seconds patience{20};

}  // namespace

net::HttpReply ApiClient::ask(std::string method, const std::string& path, Lines headers, std::string body) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.url = address_ + path;
    request.headers = std::move(headers);
    if (!cookie.empty()) {
        request.headers.emplace_back("Cookie", cookie);
        request.headers.emplace_back("X-Headrace", "1");
    }
    if (!body.empty()) {
        request.headers.emplace_back("Content-Type", "application/json");
    }
    request.body = std::move(body);
    request.deadline = Deadline::in(patience);
    return http_.fetch(request, {});
}

net::HttpReply ApiClient::trigger(const std::string& pipeline, const std::string& key) {
    return ask("POST", fmt::format("/api/etl/pipelines/{}/runs", pipeline), {{"Idempotency-Key", key}});
}

net::HttpReply ApiClient::login_with(const std::string& token) {
    return ask("POST", "/api/auth/dev-login", {}, fmt::format(R"({{"token":"{}"}})", token));
}

void ApiClient::login(Stack& stack) {
    const auto reply = login_with(auth::create_login_token(stack.redis()));
    if (reply.status != 204) {
        throw std::runtime_error("no login: " + reply.body);
    }
    const std::string set(reply.headers.get("Set-Cookie"));
    cookie = set.substr(0, set.find(';'));
}

ApiProcess::ApiProcess(Stack& stack, const std::string& kill_at) {
    auto env = stack.environment();
    const auto file = servers().fresh_folder() + "/address";
    env.emplace_back("HEADRACE_LISTEN", "127.0.0.1:0");
    env.emplace_back("HEADRACE_ADDRESS_FILE", file);
    if (!kill_at.empty()) {
        env.emplace_back("HEADRACE_KILL_AT", kill_at);
    }
    process_.emplace(std::vector<std::string>{"api", "--dev-login"}, env);
    if (!process_->wait_for_log("ready", patience)) {
        throw std::runtime_error("the api is not ready:\n" + process_->log());
    }
    std::ifstream(file) >> address_;
}

}  // namespace headrace::support
