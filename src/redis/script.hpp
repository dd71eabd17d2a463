// A Lua script called by its SHA1. One text is one Script; a server that forgot it (restart, SCRIPT FLUSH) is told
// again.
#pragma once

#include "redis/connection.hpp"

#include <span>
#include <string>
#include <string_view>

namespace headrace::redis {

struct Script {
    Script(std::string_view name, std::size_t key_count, std::string_view body);

    std::string name;       // for messages
    std::size_t key_count;  // the first so many arguments are KEYS
    std::string_view body;  // not owned: static storage
    std::string sha1;       // 40 hex digits of `body`
};

// KEYS then ARGV. One round trip; on NOSCRIPT loads the script and calls again (nothing had run). Throws error replies.
Reply eval(Connection& connection, const Script& script, Connection::Args keys_and_args);

// Starts "EVALSHA sha1 n" with `args` more arguments to come, for pipelines and for resending.
void append_evalsha_head(std::string& out, const Script& script, std::size_t args);

// SCRIPT LOAD of each in one round trip: before a pipeline, and after every reconnect.
void load(Connection& connection, std::span<const Script* const> scripts);

// The same call as EVAL: for a call that begins with append_evalsha_head() and was answered by NOSCRIPT. Runs the
// script and makes the server know it, in one round trip.
std::string as_eval(std::string_view evalsha, const Script& script);

bool is_no_script(const ReplyPart& reply);

}  // namespace headrace::redis
