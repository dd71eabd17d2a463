// Ends of attempts that Postgres was not there to take. A worker writes what it owes before it claims or sweeps
// anything, and keeps the leases of these attempts until then: else a Postgres that was away for a moment would look
// like the death of a worker. Thread-safe.
#pragma once

#include "run/stores.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace headrace::run {

struct OwedEnd {
    std::string run_id;
    std::string attempt_id;
    std::optional<AttemptEnd> end;           // nullopt: the run is handed back
    std::shared_ptr<const void> lease = {};  // kept as long as this is
};

class OwedEnds {
public:
    // At most one per slot: nothing is claimed while something is owed.
    void add(OwedEnd one);

    // Writes all of them. Throws what the ledger throws when it cannot take them now (transient): they stay. One that
    // it never will take is given up.
    void settle(LedgerStore& ledger);

private:
    std::mutex mutex_;
    std::vector<OwedEnd> owed_;
};

}  // namespace headrace::run
