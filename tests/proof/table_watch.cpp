#include "proof/table_watch.hpp"

#include <fmt/core.h>
#include <poll.h>

namespace headrace::proof {
namespace {

constexpr int pause_between_tables_ms = 10;
const std::string mark_of_row = "split_part(mark, '@', 2)";

}  // namespace

TableWatch::TableWatch(std::string database_url, std::vector<Table> tables, Violations& violations)
    : url_(std::move(database_url)),
      tables_(std::move(tables)),
      violations_(violations),
      marks_(tables_.size()),
      thread_([this] { run(); }) {}

TableWatch::~TableWatch() {
    stop();
}

void TableWatch::stop() {
    stopping_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
}

void TableWatch::note(const std::string& kind, const Table& table, const std::string& what) {
    violations_.add(kind, fmt::format("{} ({}): {}", table.name, table.mode, what));
}

void TableWatch::run() {
    try {
        Database db(url_);
        while (!stopping_) {
            for (std::size_t i = 0; i < tables_.size() && !stopping_; ++i) {
                look(db, i);
                ::poll(nullptr, 0, pause_between_tables_ms);
            }
        }
    } catch (const std::exception& e) {
        violations_.add("other", fmt::format("the watch over tables ended: {}", e.what()));
    }
}

std::optional<long> TableWatch::number_of(Database& db, const Table& table) const {
    const auto found = db.rows(
        "select seq from etl_outputs where pipeline = $1 and name = $2", {table.pipeline, "postgres:" + table.name}
    );
    return found.size() == 1 ? std::optional(std::stol(found[0][0])) : std::nullopt;
}

// The table between two looks at the ledger that agree: what was read is the generation of that number.
void TableWatch::look(Database& db, std::size_t i) {
    const auto& table = tables_[i];
    const auto before = number_of(db, table);
    if (!before || *before == 0) {
        return;  // there is no table yet
    }
    // Only what a run adds is of one mark: the rest of an appended table is looked at in the end.
    const auto row = db.rows(
        table.mode == "append" ? fmt::format("select count(*), '', '' from {}", table.name)
                               : fmt::format("select count(*), min({0}), max({0}) from {1}", mark_of_row, table.name)
    );
    const auto after = number_of(db, table);
    ++reads_;
    const Content content{std::stol(row[0][0]), row[0][1], row[0][2]};
    if (content.first_mark != content.last_mark) {
        note("torn", table, fmt::format("a mixture of {} and {}", content.first_mark, content.last_mark));
    }
    if (table.mode != "append" && content.count != table.rows) {
        note("torn", table, fmt::format("{} rows instead of {}", content.count, table.rows));
    }
    if (after == before) {
        judge(i, *before, content);
    }
}

void TableWatch::judge(std::size_t i, long number, const Content& content) {
    const auto& table = tables_[i];
    auto& known = marks_[i];
    if (table.mode == "append" && content.count != number * table.rows) {
        note(
            content.count > number * table.rows ? "doubled" : "lost",
            table,
            fmt::format("{} rows after {} runs of {}", content.count, number, table.rows)
        );
    }
    if (!known.empty() && number < known.rbegin()->first) {
        note("backwards", table, fmt::format("from {} to {}", known.rbegin()->first, number));
    }
    const auto [seen, is_new] = known.try_emplace(number, content.first_mark);
    if (!is_new && seen->second != content.first_mark) {
        note("torn", table, fmt::format("two contents under {}", number));
    }
}

void TableWatch::finals() {
    Database db(url_);
    for (std::size_t i = 0; i < tables_.size(); ++i) {
        const auto& table = tables_[i];
        const auto reads = reads_.load();
        look(db, i);
        if (reads_ == reads) {
            note("lost", table, "nothing was ever decided for it");
        }
        if (table.mode != "append") {
            continue;
        }
        for (const auto& row : db.rows(fmt::format(
                 "select {0}, count(*), count(distinct id) from {1} group by 1 having count(*) <> {2} or "
                 "count(distinct "
                 "id) <> {2}",
                 mark_of_row,
                 table.name,
                 table.rows
             ))) {
            note("doubled", table, fmt::format("{} has {} rows of {} keys", row[0], row[1], row[2]));
        }
    }
}

}  // namespace headrace::proof
