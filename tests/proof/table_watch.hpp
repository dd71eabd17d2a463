// Reads tables in Postgres as an application would, all the time and on its own connection. What it must never see:
// a mixture of two generations, a part of one, two contents under one number of the ledger, a number smaller than
// before.
#pragma once

#include "proof/stores.hpp"
#include "proof/violations.hpp"

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace headrace::proof {

// Columns id and mark ("@<version>:<random number>@<id>"), written whole (replace, merge) or added to (append).
struct Table {
    std::string pipeline;
    std::string mode;
    std::string name;
    long rows = 0;  // of one run
};

class TableWatch {
public:
    TableWatch(std::string database_url, std::vector<Table> tables, Violations& violations);
    ~TableWatch();
    TableWatch(const TableWatch&) = delete;
    TableWatch& operator=(const TableWatch&) = delete;

    void stop();

    long reads() const { return reads_; }

    // After stop(), when everything is at rest: each table is what the ledger decided, and no run is in it twice.
    void finals();

private:
    struct Content {
        long count = 0;
        std::string first_mark;
        std::string last_mark;
    };

    void run();
    void look(Database& db, std::size_t i);
    void judge(std::size_t i, long number, const Content& content);
    std::optional<long> number_of(Database& db, const Table& table)
        const;  // decided so far; nothing while it is unknown
    void note(const std::string& kind, const Table& table, const std::string& what);

    std::string url_;
    std::vector<Table> tables_;
    Violations& violations_;
    std::vector<std::map<long, std::string>> marks_;  // per table, by number
    std::atomic<bool> stopping_{false};
    std::atomic<long> reads_{0};
    std::thread thread_;
};

}  // namespace headrace::proof
