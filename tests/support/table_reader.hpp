// Counts the rows of out.t (id, v) all the time, in both isolation levels in turn, each time in a transaction whose
// snapshot may be older than the table it finds. What must never be seen: other than `rows` rows, or two values of v.
#pragma once

#include "base/stop.hpp"
#include "postgres/connection.hpp"

#include <atomic>
#include <string>
#include <thread>

namespace headrace::support {

class TableReader {
public:
    TableReader(const std::string& database_url, int rows);
    ~TableReader();
    TableReader(const TableReader&) = delete;
    TableReader& operator=(const TableReader&) = delete;

    std::string stop();  // what was seen and must not be, "" = nothing

    long reads() const { return reads_; }

private:
    void run(const std::string& database_url, int rows);
    void read_once(postgres::Connection& db, int rows, bool repeatable);

    StopSource stop_;
    std::string problem_;  // of the thread until it is joined
    std::atomic<long> reads_{0};
    std::thread thread_;
};

}  // namespace headrace::support
