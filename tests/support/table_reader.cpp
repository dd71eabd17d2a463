#include "support/table_reader.hpp"

#include "net/wait.hpp"
#include "support/stack.hpp"

#include <fmt/format.h>

namespace headrace::support {

TableReader::TableReader(const std::string& database_url, int rows)
    : thread_([this, database_url, rows] { run(database_url, rows); }) {}

TableReader::~TableReader() {
    stop();
}

std::string TableReader::stop() {
    stop_.request_stop();
    if (thread_.joinable()) {
        thread_.join();
    }
    return problem_;
}

void TableReader::run(const std::string& database_url, int rows) {
    try {
        auto db = postgres::Connection::connect({.url = database_url});
        for (bool repeatable = false; !stop_.stop_requested() && problem_.empty(); repeatable = !repeatable) {
            read_once(db, rows, repeatable);
            net::wait_readable(-1, Deadline::in(look_every), stop_.token());
        }
    } catch (const std::exception& e) {
        problem_ = e.what();
    }
}

void TableReader::read_once(postgres::Connection& db, int rows, bool repeatable) {
    db.exec(repeatable ? "begin isolation level repeatable read" : "begin");
    db.exec("select 1 as snapshot");  // of a repeatable reader it is taken here, before the table is looked at
    const auto seen =
        db.exec("select count(*) as n, count(distinct id) as ids, min(v) as low, max(v) as high from out.t");
    db.exec("commit");
    ++reads_;
    if (seen.integer(0, "n") != rows || seen.integer(0, "ids") != rows || seen.text(0, "low") != seen.text(0, "high")) {
        problem_ = fmt::format(
            "{} rows, {} ids, v from {} to {}",
            seen.text(0, "n"),
            seen.text(0, "ids"),
            seen.text(0, "low"),
            seen.text(0, "high")
        );
    }
}

}  // namespace headrace::support
