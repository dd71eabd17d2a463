// Real servers for tests: each is started at its first use, once per test binary, in a new folder below TMPDIR, with
// fsync off; all stop at the end of main() and the folder goes. Not thread-safe: use from the test's thread.
#pragma once

#include "app/servers.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace headrace::support {

class Servers {
public:
    Servers();  // made by tests/support/main.cpp
    ~Servers();
    Servers(const Servers&) = delete;
    Servers& operator=(const Servers&) = delete;

    app::PrivatePostgres& postgres();
    app::PrivateRedis& redis();        // queue and sessions; append-only off
    app::PrivateRedis& cache_redis();  // a second one
    app::PrivateClickHouse& clickhouse();

    // A new empty database that belongs to role headrace; its URL. Dropped with the server.
    std::string fresh_database();
    // The Redis, emptied; its URL. Other URLs of it handed out before see the same (empty) keys.
    std::string fresh_redis();
    std::string fresh_cache_redis();
    // A new empty ClickHouse database; its name.
    std::string fresh_clickhouse_database();

    // A new empty folder of this run for whatever the test writes; goes at the end.
    std::string fresh_folder();

    const std::string& folder() const { return folder_; }

private:
    app::PrivateRedis& redis(std::unique_ptr<app::PrivateRedis>& server, const std::string& name);

    std::string folder_;
    int counter_ = 0;
    std::mutex starting_;  // several threads of a test may ask for the same server
    std::unique_ptr<app::PrivatePostgres> postgres_;
    std::unique_ptr<app::PrivateRedis> redis_;
    std::unique_ptr<app::PrivateRedis> cache_redis_;
    std::unique_ptr<app::PrivateClickHouse> clickhouse_;
};

// The one of this binary.
Servers& servers();

// The seed of this run: HEADRACE_SEED, else random; main() prints it. Tests draw from std::mt19937_64(seed() + …).
std::uint64_t seed();

}  // namespace headrace::support
