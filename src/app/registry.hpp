// Everything that this program can read, do and write: one line per connector.
#pragma once

#include "pipeline/registry.hpp"
#include "redis/options.hpp"

namespace headrace::app {

// `cache`: where redis sinks write.
pipeline::Registry make_registry(const redis::Options& cache);

}  // namespace headrace::app
