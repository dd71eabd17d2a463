#include "run/broken_twin.hpp"

#ifdef HEADRACE_KILLPOINTS

#include "base/killpoint.hpp"

namespace headrace::run::broken_twin {

void no_fence(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id) {
    if (!is_mutant("no_fence")) {
        return;
    }
    db.exec("update etl_runs set state = 'running', attempt_id = $2 where run_id = $1", {run_id, attempt_id});
    db.exec(
        "update etl_outputs o set owner = $2 from etl_runs r where r.run_id = $1 and o.pipeline = r.pipeline",
        {run_id, attempt_id}
    );
    db.exec("delete from etl_commits where run_id = $1", {run_id});  // the second guard: a run decides once per output
}

void loose_publish(redis::Connection& cache, const std::vector<std::string>& keys) {
    if (is_mutant("no_seq")) {
        cache.command({"DEL", keys.at(0)});
    }
    if (is_mutant("torn_publish")) {
        for (std::size_t i = 2; i + 1 < keys.size(); i += 2) {
            if (keys[i] != keys[0]) {
                cache.command({"COPY", keys[i], keys[i + 1], "REPLACE"});
            }
        }
    }
}

}  // namespace headrace::run::broken_twin

#endif
