// Kill points K1..K24 of the commit protocol (docs/commit-protocol.md), A1..A5 of what the api writes. Empty in a
// release build. In a test build the environment variable HEADRACE_KILL_AT="K12" kills the process there (SIGKILL);
// "K12:stop" sends SIGSTOP instead, "K12:throw" throws a transient error, "K12#3" acts at the third time.
// HEADRACE_MUTANT=<name> makes the process a broken twin that the proof must catch (run/broken_twin.hpp).
#pragma once

namespace headrace {

#ifdef HEADRACE_KILLPOINTS
void kill_point(const char* name);
bool is_mutant(const char* name);
#define HEADRACE_POINT(name) ::headrace::kill_point(name)
#else
#define HEADRACE_POINT(name) static_cast<void>(0)
#endif

}  // namespace headrace
