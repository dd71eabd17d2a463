// What every redis sink of an attempt holds: its connection, a pipeline with bounded memory, the names of its keys, and
// the look at how much room the server has. One thread.
#pragma once

#include "pipeline/redis_space.hpp"
#include "pipeline/sink.hpp"
#include "redis/connection.hpp"
#include "redis/options.hpp"
#include "redis/pipeline.hpp"
#include "redis/script.hpp"
#include "sink/redis/staging_key.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::sink::redis_sink {

inline constexpr auto ttl_renewal = std::chrono::minutes(5);  // of staging_ttl_ms, while rows still come

class Session {
public:
    // Connects. `live` is the live key or pattern; `tag` what all live keys have in common, "" = nothing.
    // Throws redis.cross_slot when the server is a cluster and live keys and ours cannot share a slot, redis.no_room.
    Session(
        const redis::Options& options,
        const pipeline::SinkContext& context,
        std::string_view live,
        std::string_view tag,
        redis::Pipeline::Window window
    );

    redis::Connection& connection() { return connection_; }

    redis::Pipeline& pipe() { return pipe_; }

    const pipeline::RedisSpace& space() const { return space_; }

    // To be called after each batch: throws the first refusal of Redis at once instead of at the end, and every 64 MB
    // redis.no_room when what is staged and what is still expected would pass 90 % of maxmemory.
    void look(std::uint64_t staged);

    // A script outside the pipeline, which is drained first.
    redis::Reply eval(const redis::Script& script, redis::Connection::Args args);

private:
    void refuse_cross_slot(std::string_view live, std::string_view tag);
    void check_room(std::uint64_t staged);

    pipeline::RedisSpace space_;
    std::uint64_t expected_;
    std::uint64_t next_look_ = 0;
    redis::Connection connection_;
    redis::Pipeline pipe_;
};

// For discard(): a fresh connection with little patience (the attempt's may be in the middle of anything, and its stop
// token has fired).
redis::Connection connect_briefly(redis::Options options);

}  // namespace headrace::sink::redis_sink
