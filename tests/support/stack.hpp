// A whole installation for one test: fresh database and Redis, ClickHouse database, key, credential, pipelines folder,
// and worker processes. Looks at the result only from outside: SQL and Redis commands.
#pragma once

#include "credential/store.hpp"
#include "postgres/connection.hpp"
#include "redis/connection.hpp"
#include "support/servers.hpp"
#include "support/worker_process.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace headrace::support {

class Stack {
public:
    // On the servers of this binary, or on others: `database_url` is an empty database.
    explicit Stack(
        std::string database_url = servers().fresh_database(),
        std::string redis_url = servers().fresh_redis()
    );

    // Writes pipelines/<name>.yaml. `body` is everything below `name:`.
    void write_pipeline(const std::string& name, const std::string& body);
    // The pipeline most tests use: `rows` rows of (id, name, v), v from the one-row table `version`; published as json
    // at cache:t, as hash, list and zset at cache:t:hash, :list, :zset, in the table out.t (replaced), and added to the
    // table out.history.
    void write_versioned_pipeline(int rows, const std::string& more = "");
    void set_version(int v);  // what the next read of the source gives

    // Stored, or stored again.
    void set_credential(const credential::NewCredential& credential, const Secret& secret);
    void clickhouse(const std::string& sql);  // as user headrace, in the stack's database
    std::unique_ptr<HeadraceProcess> start_worker(HeadraceProcess::Env more = {});
    HeadraceProcess::Env environment() const;

    std::string trigger(const std::string& pipeline, bool forced = false);  // run id; sent to the queue
    // State of the run once it is final, "" at the limit.
    std::string await_final(const std::string& run_id, std::chrono::milliseconds limit = std::chrono::seconds(30));
    bool await(const std::function<bool()>& condition, std::chrono::milliseconds limit = std::chrono::seconds(30));

    postgres::Connection& db() { return *db_; }

    redis::Connection& redis();  // connects again after a restart
    std::string
    sql(const std::string& statement, std::initializer_list<postgres::Param> params = {});  // first column `x`
    std::string get(const std::string& key);                                                // "" when absent

    const std::string& folder() const { return folder_; }

    const std::string& clickhouse_database() const { return ch_database_; }

    const std::string& database_url() const { return database_url_; }

    const std::string& redis_url() const { return redis_url_; }

private:
    std::string folder_;
    std::string database_url_;
    std::string redis_url_;
    std::string ch_database_;
    std::optional<postgres::Connection> db_;
    std::optional<redis::Connection> redis_;
};

// How long a reader rests between two looks: without a rest it takes from the workers the core that they need to get
// on.
inline constexpr std::chrono::milliseconds look_every{1};

// Polls one JSON output all the time on its own connection and remembers what must never be seen: half a table, a
// mixture of generations, an older generation after a newer one.
class TornReader {
public:
    TornReader(const std::string& redis_url, std::string key, int rows);
    ~TornReader();
    TornReader(const TornReader&) = delete;
    TornReader& operator=(const TornReader&) = delete;

    std::string violation() const;  // "" = none
    long reads() const;
    int last_version() const;
    // After this an absent key and an older version are no violation (Redis was emptied on purpose).
    void allow_loss();

private:
    struct State;
    std::unique_ptr<State> state_;
};

// The version in a JSON output of write_versioned_pipeline, or what is wrong with it.
struct Seen {
    int version = -1;
    std::string problem;
};

Seen look_at(std::string_view json, int rows);

}  // namespace headrace::support
