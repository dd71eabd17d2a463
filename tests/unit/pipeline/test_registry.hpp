// A registry with one option of every kind, for the tests of the parser.
#pragma once

#include "pipeline/registry.hpp"

namespace headrace::pipeline {

inline Registry test_registry() {
    Registry registry;
    registry.add(SourceType{
        "clickhouse",
        "Rows of a ClickHouse query.",
        {{"query", OptionKind::sql, true, "", "The SELECT."},
         {"timeout", OptionKind::duration, false, "5m", "Time for the query."},
         {"max_block", OptionKind::bytes, false, "1MiB", "Size of a block."},
         {"compress", OptionKind::boolean, false, "true", "Compress the answer."},
         {"settings", OptionKind::text_map, false, "", "Settings of the query."}},
        true,
        nullptr});
    registry.add(SourceType{
        "http",
        "Rows of an HTTP API.",
        {{"url", OptionKind::text, true, "", "Where."}, {"headers", OptionKind::text_map, false, "", "Sent."}},
        false,
        nullptr});
    SinkType redis{
        "redis",
        "A key in Redis.",
        {{"as", OptionKind::choice, true, "", "Form of the key.", {"json", "zset", "hash", "list", "set"}},
         {"key", OptionKind::text, false, "cache:<pipeline>", "Name of the key."},
         {"ttl", OptionKind::duration, false, "", "Expiry."},
         {"chunk_rows", OptionKind::integer, false, "1000", "Rows of a list item."},
         {"remark", OptionKind::text, false, "that of the source", "A default in words."}},
        false,
        nullptr,
        [](const Definition&, const Part& part) { return "redis:" + part.options.get("key"); }};
    registry.add(std::move(redis));
    registry.add(TransformType{
        "rename", "New names.", {{"columns", OptionKind::text_map, true, "", "Old: new."}}, nullptr});
    registry.add(TransformType{
        "drop", "Fewer columns.", {{"columns", OptionKind::text_list, true, "", "Names."}}, nullptr});
    registry.add(TransformType{"trim", "No outer blanks.", {}, nullptr});
    registry.add(TransformType{
        "limit",
        "Fewer rows.",
        {{"rows", OptionKind::integer, true, "", "How many."},
         {"quiet", OptionKind::boolean, false, "false", "No line in the log."}},
        nullptr});
    registry.add(CheckType{
        "min_rows", "At least so many.", {{"rows", OptionKind::integer, true, "", "How many."}}, nullptr});
    registry.add(CheckType{
        "max_drop", "Not much less.", {{"share", OptionKind::number, true, "", "How much."}}, nullptr});
    registry.add(CheckType{"unique", "No key twice.", {{"columns", OptionKind::text_list, true, "", "Names."}}, nullptr}
    );
    return registry;
}

}  // namespace headrace::pipeline
