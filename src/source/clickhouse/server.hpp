// One ClickHouse and small questions to it: who it is, what a user may do, and that a query be stopped. One thread.
//
// Errors: those of clickhouse.hpp; net.cancelled, http.egress.
#pragma once

#include "net/http_client.hpp"
#include "pipeline/source.hpp"
#include "source/clickhouse/config.hpp"
#include "source/clickhouse/request.hpp"

#include <functional>
#include <string>
#include <string_view>

struct sockaddr;

namespace headrace::source::clickhouse {

enum class Phase { connect, query, read };

// An error of the HTTP client in the words of a source. Others pass unchanged.
Error in_source_words(const Error& error, Phase phase);

template <class Work>
auto speaking(Phase phase, Work work) {
    try {
        return work();
    } catch (const Error& error) {
        throw in_source_words(error, phase);
    }
}

class Server {
public:
    // `config` outlives it.
    Server(const Config& config, std::function<bool(const sockaddr*)> egress_check);

    // Stop, deadline and log of a run; before anything is asked.
    void use(const pipeline::SourceContext& context) { context_ = context; }

    // A small question. Any answer but 200 is thrown.
    net::HttpReply ask(const Ask& ask, Phase phase, Deadline deadline = Deadline::never());
    // The only row of the answer, of so many cells; another shape is no ClickHouse and throws source.unavailable.
    std::vector<std::string> ask_row(std::string_view sql, std::size_t cells, Deadline deadline = Deadline::never());

    // Asks for version and readonly.
    void learn();
    // KILL QUERY on a connection of its own, 5 s at most.
    void kill(const std::string& query_id) noexcept;

    const std::string& version() const { return version_; }

    int major() const { return major_; }  // 0 = unknown

    bool takes_settings() const { return takes_settings_; }

    void refuses_settings() { takes_settings_ = false; }

    void say(std::string_view level, std::string message) const {
        if (context_.log) {
            context_.log(level, std::move(message));
        }
    }

    net::HttpClient& client() { return client_; }

private:
    const Config& config_;
    std::function<bool(const sockaddr*)> egress_check_;
    pipeline::SourceContext context_;
    net::HttpClient client_;
    std::string version_ = "unknown";
    int major_ = 0;
    bool takes_settings_ = true;
};

}  // namespace headrace::source::clickhouse
