// What must hold, seen from outside: it looks at the tables and the live keys, and knows nothing of how they came
// about.
//   lost       a run that ended otherwise than its faults allow, or succeeded before its rows were to be seen
//   double     two decisions of one run for one output, or rows of a table twice
//   torn       live keys of one output from different generations, or from one that nobody decided
//   backwards  a reader sees an older generation than before
//   stuck      something is open, unpublished or different in Redis long after the last fault
#pragma once

#include "sim/fake_postgres.hpp"
#include "sim/fake_redis.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>

namespace headrace::sim {

struct Violation {
    std::string kind;  // lost, double, torn, backwards, stuck
    std::string text;
};

class Checker {
public:
    Checker(FakePostgres& db, FakeRedis& redis) : db_(db), redis_(redis) {}

    // --- what happened, as far as it excuses an end
    void permanent_error(const std::string& run_id) { permanent_.insert(run_id); }

    void transient_error(const std::string& run_id) { ++transient_[run_id]; }

    void looked_dead() { ++looked_dead_; }  // a worker died, or could not show that it lives

    void cancelled(const std::string& run_id) { cancelled_.insert(run_id); }

    void redis_loses_all();  // before it does
    void redis_loses_live(std::int64_t output_id);

    void failed_over() { failovers_ = true; }

    // --- looks
    void look();                                                    // as a reader, between two steps
    std::string open_end() const;                                   // what is not at rest yet; "" = nothing
    void judge(const std::map<std::string, std::size_t>& outputs);  // once, at rest

    void stuck(const std::string& what) { add("stuck", what); }

    const std::optional<Violation>& violation() const { return violation_; }

private:
    void add(std::string kind, std::string text);
    void look_at(std::int64_t output_id, const Shown& shown);
    void look_at_ends();
    void judge_run(const RunRow& run, std::size_t outputs);
    void judge_tables();

    FakePostgres& db_;
    FakeRedis& redis_;
    std::optional<Violation> violation_;
    long seen_changes_ = 0;
    std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> last_;  // (epoch, seq) by output
    std::set<std::int64_t> excused_live_;
    std::set<std::string> rows_lost_;  // runs of which Redis lost rows, staged or live
    std::set<std::string> permanent_;
    std::map<std::string, int> transient_;
    std::set<std::string> cancelled_;
    int looked_dead_ = 0;
    std::set<std::string> succeeded_;
    bool redis_lost_ = false;
    bool failovers_ = false;
};

}  // namespace headrace::sim
