// The Lua scripts that change live keys in Redis, one per form of a generation, and their calls. Every script checks
// before it writes (scripts do not roll back), refuses what is not newer than the marker's (epoch, seq), and may run
// when Redis is full: publishing frees memory. Keys whose names come from the marker are not declared; they carry the
// output's tag, so that they are in the slot of those that are.
#pragma once

#include "redis/connection.hpp"
#include "run/stores.hpp"

#include <string>
#include <vector>

namespace headrace::run {

// One call. `staging` is the manifest's, or a rebuilt one. `force` writes again what the marker says is there.
Applied apply_script(redis::Connection& cache, const Generation& generation, const std::string& staging, bool force);

// Merge: removes up to a thousand rows that no run brought for `sweep_after`. True when there may be more.
bool sweep_rows_script(redis::Connection& cache, const Generation& generation);

// The key that the pointer recipe of docs/pipelines.md reads; "" of form key.
std::string pointer_key(const Generation& generation);

// Questions of the reconciler, appended to a pipelined sweep; reply: 1 = the generation is whole as far as can be seen.
void append_presence(redis::Connection& cache, const Generation& generation);

// Removes what nobody needs any more of generations whose time has come, at most a thousand rows a call. True when
// there may be more.
bool retire_script(redis::Connection& cache, const Retirable& output);

}  // namespace headrace::run
