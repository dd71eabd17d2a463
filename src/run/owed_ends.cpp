#include "run/owed_ends.hpp"

#include "base/log.hpp"

namespace headrace::run {

void OwedEnds::add(OwedEnd one) {
    std::lock_guard lock(mutex_);
    owed_.push_back(std::move(one));
}

// One that two threads write at a time, or whose answer was lost, is found to be written the second time.
void OwedEnds::settle(LedgerStore& ledger) {
    for (;;) {
        std::optional<OwedEnd> one;
        {
            std::lock_guard lock(mutex_);
            if (owed_.empty()) {
                return;
            }
            one = owed_.front();
        }
        try {
            if (one->end) {
                ledger.end_attempt(one->run_id, one->attempt_id, *one->end);
            } else {
                ledger.release(one->run_id, one->attempt_id);
            }
            log::info("the end of an attempt is written late: Postgres was away", {{"run", one->run_id}});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::transient) {
                throw;
            }
            // Its lease must not be kept for ever: then it ends as a death would.
            log::error("the end of an attempt cannot be written", {{"run", one->run_id}, {"error", error.what()}});
        }
        std::lock_guard lock(mutex_);
        std::erase_if(owed_, [&](const OwedEnd& other) { return other.attempt_id == one->attempt_id; });
    }
}

}  // namespace headrace::run
