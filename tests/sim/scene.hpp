// What the fake stores ask of the world around them: the time, chance, and whether a call arrives and is answered.
// The simulator's world schedules and breaks things here; the contract suite uses a still one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::sim {

// Taken out of the protocol on purpose; the checker must notice.
enum class Mutant {
    none,
    no_fence,       // a decision does not ask who owns the run (as run/broken_twin)
    no_seq,         // publishing does not compare (epoch, seq) (as run/broken_twin)
    torn_publish,   // the live keys change one after the other (as run/broken_twin)
    publish_first,  // the output is written before Postgres decides
    no_verdict,     // a lost answer to COMMIT counts as a failure
    blind_verdict,  // the verdict does not wait for the row lock
    ack_first,      // acknowledged before it is published
    half_ack,       // one published output of several makes the run succeed
    hasty_reaper,   // takes runs from workers that live and keep their lease
    no_epoch,       // nobody notices that Postgres was replaced
    no_resend,      // a queued run whose job is lost is not sent again
    no_heal,        // outputs that Redis lost are not published again
    zombie_chunk,   // a chunk is added without a look at who owns the run
    stale_chunks,   // a decision leaves the chunks of other runs
    lost_end,       // the end of an attempt that could not be written is forgotten
};

// What becomes of a COMMIT.
enum class Fate { answered, done_unanswered, undone_unanswered, in_flight };

class Scene {
public:
    virtual ~Scene() = default;
    virtual std::int64_t now() const = 0;  // ms
    virtual std::uint64_t draw(std::uint64_t below) = 0;
    virtual Mutant mutant() const = 0;

    // The two ends of a call. Others may run in `before`; both may throw: the process died, the link broke.
    virtual void before(std::string_view call, std::string_view subject) = 0;
    virtual void after(std::string_view answer = {}) = 0;  // `answer` is for the trace
    // Within a transaction, or between two of one call.
    virtual void within(std::string_view what) = 0;
    virtual Fate commit_fate() = 0;
    virtual void wait(std::int64_t ms) = 0;
};

}  // namespace headrace::sim
