// Process log: JSON lines, or short human-readable lines when stderr is a terminal. Thread-safe, one write per line.
// A run's own log lines go through run/journal (they end in Postgres); this is what the operator reads.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace headrace::log {

enum class Level { debug, info, warn, error };

// Field values are text; a Secret cannot be passed by construction.
using Field = std::pair<std::string_view, std::string>;

void set_level(Level level);           // default info
void set_json(bool json);              // default: !isatty(stderr)
void set_role(std::string_view role);  // "worker", "api"; shown in every line

void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::debug, message, fields);
}

inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::info, message, fields);
}

inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::warn, message, fields);
}

inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::error, message, fields);
}

}  // namespace headrace::log
