// I1, I3, I4 and I5 of docs/commit-protocol.md, seen from outside: SQL on the ledger, Redis commands on the outputs.
#pragma once

#include "proof/output_reader.hpp"
#include "proof/stores.hpp"
#include "proof/violations.hpp"

#include <string>
#include <vector>

namespace headrace::proof {

class LedgerCheck {
public:
    LedgerCheck(Database& db, Cache& queue, Cache& cache, std::vector<Output> outputs, Violations& violations);

    // Any time: nothing may wait for longer than the limits of this installation's timers (lease 1 s, sweep 100 ms).
    void stuck();

    // When nothing works any more and nothing is queued: what is still open then is stuck.
    bool settled();
    void unsettled();  // says what is open

    // After that: every run decided exactly once or not at all, and Redis shows what Postgres decided last.
    void finals();
    void commits();  // the part of finals() that also holds at any time
    // What the reader saw must have been decided, by one attempt per run.
    void seen(const std::vector<std::map<OutputReader::Number, Generation>>& seen);

private:
    void none(const std::string& kind, const std::string& what, const std::string& sql);
    void runs();
    void outputs();
    void output(const Output& output);
    void leftovers();

    Database& db_;
    Cache& queue_;
    Cache& cache_;
    std::vector<Output> outputs_;
    Violations& violations_;
};

}  // namespace headrace::proof
