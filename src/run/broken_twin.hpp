// Broken twins of the protocol for its proof (tests/proof): what HEADRACE_MUTANT names is taken out, and the checker
// must notice. Test builds only; in a release these are empty.
#pragma once

#include "postgres/connection.hpp"
#include "redis/connection.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::run::broken_twin {

#ifdef HEADRACE_KILLPOINTS

// no_fence: inside the decision, before it asks who owns the run. The attempt makes itself the owner.
void no_fence(postgres::Connection& db, std::string_view run_id, std::string_view attempt_id);

// Before the publish script with the same keys (marker, meta, then staging and live in turn).
// no_seq: the script finds no marker to compare with. torn_publish: live keys get the new content one by one.
void loose_publish(redis::Connection& cache, const std::vector<std::string>& keys);

#else

inline void no_fence(postgres::Connection&, std::string_view, std::string_view) {}

inline void loose_publish(redis::Connection&, const std::vector<std::string>&) {}

#endif

}  // namespace headrace::run::broken_twin
