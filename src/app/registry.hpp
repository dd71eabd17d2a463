// Everything that this program can read, do and write: one line per connector.
#pragma once

#include "net/egress.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"
#include "redis/options.hpp"

namespace headrace::app {

// `cache`: where redis sinks write; `db`: where postgres sinks write. Neither is connected to before a run.
// `egress`: what HTTP sources may call.
pipeline::Registry
make_registry(const redis::Options& cache, const postgres::ConnectOptions& db, const net::Egress& egress = {});

}  // namespace headrace::app
