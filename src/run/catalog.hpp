// Brings the pipeline files into Postgres: current definition, its versions, summary for lists, output rows.
#pragma once

#include "pipeline/parse.hpp"
#include "pipeline/registry.hpp"
#include "postgres/connection.hpp"

#include <string>
#include <vector>

namespace headrace::run {

struct CatalogChange {
    std::string pipeline;
    bool added = false;
    bool removed = false;  // its file is gone: never scheduled, outputs stay as they are
    int version = 0;
};

// Files with problems are left out: the last good version stays in force. Pipelines without a file become `removed`.
std::vector<CatalogChange> sync_catalog(
    postgres::Connection& db,
    const pipeline::Registry& registry,
    const std::vector<pipeline::ParseResult>& files
);

// JSON of etl_pipelines.summary (see migrations/0001_init.sql).
std::string summary_json(const pipeline::Definition& definition);

}  // namespace headrace::run
