#include "run/staging_sweep.hpp"

#include "postgres/quote.hpp"
#include "postgres/staging.hpp"

namespace headrace::run {
namespace {

// The attempt's row is older than its staging. In the same form as postgres::staging_name, and what sinks append to it.
// Chunks of a run that may go on are nobody's orphans.
constexpr std::string_view orphans =
    "select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = $1 and c.relkind = 'r' and c.relname ~ '^o[0-9]+_[0-9a-f]{32}(_[a-z0-9]+)?$' and not exists"
    " (select 1 from etl_attempts a join etl_runs r on r.run_id = a.run_id where replace(a.attempt_id::text, '-', '') ="
    "  substring(c.relname from '_([0-9a-f]{32})') and (a.started_at > now() - interval '1 hour' or (r.state = "
    "'running'"
    "  and r.attempt_id = a.attempt_id) or (r.state in ('queued', 'running') and exists (select 1 from etl_chunks k"
    "  where k.run_id = r.run_id and k.attempt_id = a.attempt_id)))) order by 1";

}  // namespace

std::vector<std::string> sweep_staging(postgres::Connection& db) {
    std::vector<std::string> dropped;
    db.exec(
        "delete from etl_chunks k using etl_runs r where r.run_id = k.run_id and r.state not in ('queued', 'running',"
        " 'committed')"
    );
    const auto found = db.exec(orphans, {postgres::staging_schema});
    for (std::size_t i = 0; i < found.rows(); ++i) {
        const std::string name(found.text(i, "name"));
        db.transaction([&](postgres::Connection& c) {
            // Of two workers one drops; a reader of the table (a dump) is not waited for.
            const auto mine = c.exec(
                "select pg_try_advisory_xact_lock(hashtext('headrace: staging'), hashtext($1)) as mine,"
                " set_config('lock_timeout', '100', true)",
                {name}
            );
            if (mine.boolean(0, "mine")) {
                c.exec("drop table if exists " + postgres::qualified_name(postgres::staging_schema, name));
                dropped.push_back(name);
            }
        });
    }
    return dropped;
}

}  // namespace headrace::run
