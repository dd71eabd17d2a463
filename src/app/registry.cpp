#include "app/registry.hpp"

#include "check/checks.hpp"
#include "sink/redis/redis_sink.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "transform/transforms.hpp"

namespace headrace::app {

pipeline::Registry make_registry(const redis::Options& cache) {
    pipeline::Registry registry;
    registry.add(source::bigquery::type());
    registry.add(source::clickhouse::type());
    for (auto& type : transform::types()) {
        registry.add(std::move(type));
    }
    for (auto& type : check::types()) {
        registry.add(std::move(type));
    }
    registry.add(sink::redis_sink::type(cache));
    return registry;
}

}  // namespace headrace::app
