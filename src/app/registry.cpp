#include "app/registry.hpp"

#include "check/checks.hpp"
#include "sink/postgres/postgres_sink.hpp"
#include "sink/redis/redis_sink.hpp"
#include "source/bigquery/bigquery.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "source/http/http.hpp"
#include "source/yespo/yespo.hpp"
#include "transform/transforms.hpp"

namespace headrace::app {

pipeline::Registry
make_registry(const redis::Options& cache, const postgres::ConnectOptions& db, const net::Egress& egress) {
    pipeline::Registry registry;
    const auto may_call = [egress](const sockaddr* address) { return egress.allows(address); };
    const auto paces = source::http::make_paces();
    registry.add(source::bigquery::type());
    registry.add(source::bigquery::credential_type());
    registry.add(source::clickhouse::type());
    registry.add(source::clickhouse::credential_type());
    registry.add(source::http::type(may_call, paces));
    registry.add(source::http::credential_type(may_call));
    registry.add(source::yespo::type(may_call, paces));
    for (auto& type : transform::types()) {
        registry.add(std::move(type));
    }
    for (auto& type : check::types()) {
        registry.add(std::move(type));
    }
    registry.add(sink::redis_sink::type(cache));
    registry.add(sink::postgres_sink::type(db));
    return registry;
}

}  // namespace headrace::app
