// One function per command of the binary; main.cpp parses the words and calls it. Each returns the exit code:
// 0 done · 1 it failed (message on stderr) · 2 wrong words.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace headrace::app {

// Adds the subcommand with its options; `chosen` is set when it was given.
using Run = std::function<int()>;
void add_dev(CLI::App& app, Run& chosen);
void add_worker(CLI::App& app, Run& chosen);
void add_api(CLI::App& app, Run& chosen);
void add_migrate(CLI::App& app, Run& chosen);
void add_check(CLI::App& app, Run& chosen);
void add_run(CLI::App& app, Run& chosen);  // run, cancel, retry
void add_preview(CLI::App& app, Run& chosen);
void add_rollback(CLI::App& app, Run& chosen);
void add_runs(CLI::App& app, Run& chosen);
void add_credential(CLI::App& app, Run& chosen);
void add_config(CLI::App& app, Run& chosen);
void add_doctor(CLI::App& app, Run& chosen);

}  // namespace headrace::app
