// OutputStore in Redis, by the scripts of run/publish_scripts. Connects at the first call; after an error the
// connection is dropped, and the next call makes a new one. One thread.
#pragma once

#include "base/stop.hpp"
#include "redis/connection.hpp"
#include "redis/options.hpp"
#include "run/stores.hpp"

#include <optional>

namespace headrace::run {

class RedisOutputs final : public OutputStore {
public:
    // `stop` ends every wait for Redis.
    explicit RedisOutputs(redis::Options options, StopToken stop = {});

    Applied apply(const Generation& generation, const std::string& staging, bool force) override;
    std::string rebuild(const Generation& generation, const std::string& payload) override;
    std::vector<Live> look_at(const std::vector<Generation>& generations) override;
    bool sweep_rows(const Generation& generation) override;
    void retire(const std::vector<Retirable>& outputs, Deadline until) override;

private:
    template <class Body>
    auto with(Body&& body);

    redis::Options options_;
    StopToken stop_;
    std::optional<redis::Connection> cache_;
};

}  // namespace headrace::run
