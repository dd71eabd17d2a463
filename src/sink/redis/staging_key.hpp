// Writes to one staging key, each with the key's TTL in the same step: a worker that dies, or a Redis that is emptied,
// in between must not leave a key that lives for ever. One command at a time, so that Redis never holds back a whole
// batch.
#pragma once

#include "redis/pipeline.hpp"

#include <string>
#include <string_view>

namespace headrace::sink::redis_sink {

// Staging dies by itself when nobody decides.
inline constexpr std::string_view staging_ttl_ms = "3600000";

class StagingKey {
public:
    StagingKey(redis::Pipeline& pipe, std::string name) : pipe_(pipe), name_(std::move(name)) {}

    const std::string& name() const { return name_; }

    // Commands that write to name(). Answers of the pipeline: those of EXEC, [answer to the command, 1].
    void add(redis::Connection::Args args) {
        pipe_.add({"MULTI"});
        pipe_.add(args);
        expire();
    }

    void add_large(redis::Connection::Args args) {
        pipe_.add({"MULTI"});
        pipe_.add_large(args);
        expire();
    }

private:
    void expire() {
        pipe_.add({"PEXPIRE", name_, staging_ttl_ms});
        pipe_.add({"EXEC"});
    }

    redis::Pipeline& pipe_;
    std::string name_;
};

}  // namespace headrace::sink::redis_sink
