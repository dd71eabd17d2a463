// The private servers of `headrace dev` and the environment that its children get.
#pragma once

#include "app/servers.hpp"
#include "app/simulated_bigquery.hpp"
#include "app/simulated_yespo.hpp"
#include "base/stop.hpp"
#include "credential/store.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace headrace::app {

class DevStack {
public:
    // `data_dir` is absolute.
    explicit DevStack(std::string data_dir);

    void start(const StopToken& stop);  // servers, key, schema, sample data, credential
    void stop();

    // Configuration of worker and api, as environment variables.
    std::vector<std::pair<std::string, std::string>> environment(const std::string& listen) const;

    std::string database_url() const { return postgres_.url(); }

    PrivatePostgres& postgres() { return postgres_; }

    PrivateRedis& redis() { return redis_; }

    PrivateClickHouse& clickhouse() { return clickhouse_; }

    // One line each for the banner: the simulator, the user's own service, or that there is none.
    const std::string& bigquery() const { return bigquery_text_; }

    const std::string& yespo() const { return yespo_text_; }

    const std::string& data_dir() const { return data_dir_; }

private:
    void prepare_database();
    void load_samples(const StopToken& stop);
    void offer_bigquery(postgres::Connection& db, const credential::Store& store, const StopToken& stop);
    void offer_yespo(postgres::Connection& db, const credential::Store& store, const StopToken& stop);

    std::string data_dir_;
    PrivatePostgres postgres_;
    PrivateRedis redis_;
    PrivateClickHouse clickhouse_;
    SimulatedBigQuery simulator_;
    std::string bigquery_text_;
    SimulatedYespo yespo_;
    std::string yespo_text_;
    std::string key_file_;
    std::string session_secret_;
};

// Folders that ship with the binary: beside the working directory in a checkout, else below the install prefix.
std::string find_resource(const std::string& relative);

}  // namespace headrace::app
