// Everything that this program can read, do and write: one line per connector.
#pragma once

#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"

namespace headrace::app {

// `cache`: where redis sinks write; `db`: where postgres sinks write. Neither is connected to before a run.
pipeline::Registry make_registry(const redis::Options& cache, const postgres::ConnectOptions& db);

}  // namespace headrace::app
