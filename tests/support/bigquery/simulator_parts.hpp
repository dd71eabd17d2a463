// What the two halves of the simulator share. Private to it.
#pragma once

#include "support/bigquery/simulator.hpp"

namespace headrace::support::bigquery {

struct Simulator::View {
    std::string key;
    std::shared_ptr<const Table> table;
    std::vector<std::size_t> columns;
    std::uint64_t rows = 0;
    std::vector<std::uint64_t> order;  // the table's rows in the result; empty: all from the first on
    std::string schema;                // JSON list of fields
};

struct Simulator::Job {
    std::string id;
    std::string query;
    std::shared_ptr<const View> view;
    std::string state = "RUNNING";
    std::string reason;  // of its failure
    std::string message;
};

// One answer of getQueryResults before it is written; faults change it.
struct Simulator::Page {
    std::string schema;
    std::string job;
    std::string total;  // JSON
    std::string token;
    std::shared_ptr<const std::string> rows;    // without the brackets; null: no `rows` member
    std::shared_ptr<const std::string> packed;  // the same as gzip, when it is as the table has it
    bool complete = true;
    std::string behind;  // more members
};

Reply json_reply(std::string body, int status = 200);
Reply error_reply(int status, std::string_view reason, std::string_view message);
std::string gzip(std::string_view text);

}  // namespace headrace::support::bigquery
