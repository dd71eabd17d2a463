#include "pipeline/parse.hpp"

#include "test_registry.hpp"

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

using namespace std::chrono_literals;
using data::Kind;

constexpr const char* full = R"(# one of everything
version: 1
name: shop.prices
description: Prices for the shop
owner: pricing
tags: [shop, hourly]
enabled: false
schedule:
  cron: "*/15 6-22 * * *"
  timezone: Europe/Kyiv
  jitter: 30s
  catchup: all
  catchup_window: 2h
  overlap: cancel_old
source:
  type: clickhouse
  credential: ch-main
  query: |
    SELECT sku, price
    FROM prices
  timeout: 1m30s
  settings: { max_threads: 2 }
columns:
  sku: string!
  price: decimal(12,2)
  shop_id: int64?
transform:
  - rename: { sku: id, shop_id: shop }
  - drop: price
  - trim
  - limit: { rows: 10, quiet: true }
  - limit: 20
checks:
  - min_rows: 10
  - max_drop: 50%
  - unique: [id, shop]
sinks:
  - type: redis
    as: json
  - type: redis
    credential: cache
    key: prices:set
    as: set
    ttl: 2h
allow_empty: true
retry: { attempts: 4, backoff: 5s, max: 1m }
timeout: 10m
limits: { memory: 32MiB }
fresh_within: 45m
)";

ParseResult parse(std::string_view text, std::string_view defaults = "") {
    return parse_definition(text, "pipelines/shop.prices.yaml", test_registry(), defaults);
}

// A valid file with one line replaced or added.
std::string with(std::string_view extra) {
    return "name: shop.prices\nsource: {type: clickhouse, credential: c, query: select 1}\nsinks: {type: redis, as: "
           "json}\n" +
           std::string(extra);
}

std::string all(const ParseResult& result) {
    std::string out;
    for (const auto& problem : result.problems) {
        out += problem.text() + "\n";
    }
    return out;
}

std::string problems_of(std::string_view text, std::string_view defaults = "") {
    return all(parse(text, defaults));
}

TEST(Parse, ReadsEveryPart) {
    const auto result = parse(full);
    ASSERT_TRUE(result.ok()) << all(result);
    const auto& d = result.definition;
    EXPECT_EQ(d.name, "shop.prices");
    EXPECT_EQ(d.description, "Prices for the shop");
    EXPECT_EQ(d.owner, "pricing");
    EXPECT_EQ(d.tags, (std::vector<std::string>{"shop", "hourly"}));
    EXPECT_FALSE(d.enabled);
    EXPECT_TRUE(d.allow_empty);
    EXPECT_EQ(d.text, full);
    EXPECT_EQ(d.timeout, 10min);
    EXPECT_EQ(d.memory, 32u << 20);
    EXPECT_EQ(d.fresh_within, 45min);
    EXPECT_EQ(d.retry.attempts, 4);
    EXPECT_EQ(d.retry.backoff, 5s);
    EXPECT_EQ(d.retry.max, 1min);
    ASSERT_TRUE(d.schedule);
    EXPECT_EQ(d.schedule->cron, "*/15 6-22 * * *");
    EXPECT_EQ(d.schedule->timezone, "Europe/Kyiv");
    EXPECT_EQ(d.schedule->jitter, 30s);
    EXPECT_EQ(d.schedule->catchup, schedule::Catchup::all);
    EXPECT_EQ(d.schedule->catchup_window, 2h);
    EXPECT_EQ(d.schedule->overlap, schedule::Overlap::cancel_old);
}

TEST(Parse, OptionsAreNormalised) {
    const auto d = parse(full).definition;
    EXPECT_EQ(d.source.type, "clickhouse");
    EXPECT_EQ(d.source.credential, "ch-main");
    EXPECT_EQ(d.source.options.get("query"), "SELECT sku, price\nFROM prices\n");
    EXPECT_EQ(d.source.options.get_int("timeout"), 90'000);
    EXPECT_EQ(d.source.options.get_int("max_block"), 1 << 20) << "default value";
    EXPECT_TRUE(d.source.options.get_bool("compress")) << "default value";
    EXPECT_EQ(d.source.options.get_list("settings"), (std::vector<std::string>{"max_threads", "2"}));
    EXPECT_EQ(d.source.options.place.line, 16);
    ASSERT_EQ(d.sinks.size(), 2u);
    EXPECT_EQ(d.sinks[0].options.get("key"), "cache:shop.prices") << "<pipeline> in a default is the name";
    EXPECT_FALSE(d.sinks[0].options.has("ttl"));
    EXPECT_FALSE(d.sinks[0].options.has("remark")) << "a default in words is for readers";
    EXPECT_EQ(d.sinks[0].options.get_int("chunk_rows"), 1000);
    EXPECT_EQ(d.sinks[1].credential, "cache");
    EXPECT_EQ(d.sinks[1].options.get_int("ttl"), 7'200'000);
}

TEST(Parse, StepsTakeAValueAMapOrNothing) {
    const auto d = parse(full).definition;
    ASSERT_EQ(d.transforms.size(), 5u);
    EXPECT_EQ(d.transforms[0].type, "rename");
    EXPECT_EQ(d.transforms[0].options.get_list("columns"), (std::vector<std::string>{"sku", "id", "shop_id", "shop"}));
    EXPECT_EQ(d.transforms[1].options.get_list("columns"), (std::vector<std::string>{"price"}));
    EXPECT_EQ(d.transforms[2].type, "trim");
    EXPECT_EQ(d.transforms[3].options.get_int("rows"), 10);
    EXPECT_TRUE(d.transforms[3].options.get_bool("quiet"));
    EXPECT_EQ(d.transforms[4].options.get_int("rows"), 20);
    EXPECT_FALSE(d.transforms[4].options.get_bool("quiet"));
    ASSERT_EQ(d.checks.size(), 3u);
    EXPECT_EQ(d.checks[1].options.get("share"), "0.5");
    const auto map = parse(with("checks: {min_rows: 1, max_drop: 0.25}\n"));
    ASSERT_TRUE(map.ok()) << all(map);
    EXPECT_EQ(map.definition.checks.size(), 2u);
}

TEST(Parse, Columns) {
    const auto d = parse(full).definition;
    ASSERT_EQ(d.columns.size(), 3u);
    EXPECT_EQ(d.columns[0], (data::Field{"sku", Kind::string, false, 0, 0}));
    EXPECT_EQ(d.columns[1], (data::Field{"price", Kind::decimal, true, 12, 2}));
    EXPECT_EQ(d.columns[2], (data::Field{"shop_id", Kind::int64, true, 0, 0}));
}

TEST(Parse, WrongColumns) {
    const auto text = problems_of(
        with("columns:\n  a: int\n  b: strng\n  c: decimal(2,5)\n  d: string(10)\n  e: [x]\n  f: decimal(99)\n"
             "  g: decimal(12\n  h: zzz\n")
    );
    EXPECT_NE(text.find("prices.yaml:5:6: `columns.a`: unknown type `int`; did you mean `int64`?"), text.npos) << text;
    EXPECT_NE(text.find("yaml:6:6: `columns.b`: unknown type `strng`; did you mean `string`?"), text.npos) << text;
    EXPECT_NE(text.find("yaml:7:6: `columns.c` must look like decimal(12,2)"), text.npos) << text;
    EXPECT_NE(text.find("yaml:8:6: `columns.d`: only decimal has numbers in brackets"), text.npos) << text;
    EXPECT_NE(text.find("yaml:9:6: `columns.e` must be text, found a list"), text.npos) << text;
    EXPECT_NE(text.find("yaml:10:6: `columns.f` must look like"), text.npos) << text;
    EXPECT_NE(text.find("yaml:11:6: `columns.g` must look like"), text.npos) << text;
    EXPECT_NE(text.find("unknown type `zzz`; the types are `boolean`, `int64`"), text.npos) << text;
}

TEST(Parse, ShortScheduleAndNone) {
    const auto d = parse(with("schedule: \"@daily\"\n"));
    ASSERT_TRUE(d.ok()) << all(d);
    EXPECT_EQ(d.definition.schedule->cron, "@daily");
    EXPECT_EQ(d.definition.schedule->timezone, "UTC");
    EXPECT_EQ(d.definition.schedule->overlap, schedule::Overlap::skip);
    EXPECT_FALSE(parse(with("")).definition.schedule);
    EXPECT_NE(
        problems_of(with("schedule:\n")).find("`schedule` must be a map (`key: value` lines), found nothing"),
        std::string::npos
    );
}

TEST(Parse, EveryProblemAtOnceWithItsPlace) {
    const auto text = problems_of(R"(name: other
schedul: "* * * * *"
source:
  type: clickhose
sinks:
  - type: redis
    as: jsn
timeout: 10
enabled: yes
limits: { memory: 64 }
retry: { attempts: 0, backof: 1s }
)");
    EXPECT_EQ(text, R"(pipelines/shop.prices.yaml:1:7: `name` must be that of the file: `shop.prices`, found `other`
pipelines/shop.prices.yaml:2:1: unknown key `schedul`; did you mean `schedule`?
pipelines/shop.prices.yaml:4:9: `source.type` must be `clickhouse` or `http`, found `clickhose`; did you mean `clickhouse`?
pipelines/shop.prices.yaml:7:9: `sinks[0].as` must be `json`, `zset`, `hash`, `list` or `set`, found `jsn`; did you mean `json`?
pipelines/shop.prices.yaml:8:10: `timeout: 10` needs a unit: 10s, 10m or 10h
pipelines/shop.prices.yaml:9:10: `enabled` must be true or false, found `yes`
pipelines/shop.prices.yaml:10:19: `limits.memory: 64` needs a unit: 64MiB or 64MB
pipelines/shop.prices.yaml:11:20: `retry.attempts` must be 1 to 20, found `0`
pipelines/shop.prices.yaml:11:23: unknown key `backof` in `retry`; did you mean `backoff`?
)");
}

TEST(Parse, Schedules) {
    const auto text = problems_of(
        with("schedule:\n  cron: 61 * * * *\n  timezone: Europe/Kiew\n  overlap: queue_one\n  catchup: lst\n"
             "  jitter: 2h\n")
    );
    EXPECT_NE(text.find("yaml:5:9: "), text.npos) << text;
    EXPECT_NE(text.find("yaml:6:13: "), text.npos) << text;
    EXPECT_NE(
        text.find("yaml:7:12: `schedule.overlap` must be `skip`, `queue` or `cancel_old`, found `queue_one`; did you "
                  "mean `queue`?"),
        text.npos
    ) << text;
    EXPECT_NE(text.find("found `lst`; did you mean `last`?"), text.npos) << text;
    EXPECT_NE(text.find("`schedule.jitter` must be 0s to 1h, found `2h`"), text.npos) << text;
    EXPECT_NE(problems_of(with("schedule: {timezone: UTC}\n")).find("`schedule` needs `cron`"), std::string::npos);
}

TEST(Parse, KeysInTheWrongMap) {
    const auto text = problems_of(
        "name: shop.prices\ncron: \"* * * * *\"\nsource:\n  type: http\n  url: http://x\n  retry: {}\n"
        "sinks: {type: redis, as: json}\n"
    );
    EXPECT_NE(text.find(":2:1: unknown key `cron`; it belongs under `schedule:`"), text.npos) << text;
    EXPECT_NE(text.find(":6:3: unknown key `retry` in `source`; it belongs to the top of the file"), text.npos) << text;
}

TEST(Parse, WhatIsMissing) {
    const auto text = problems_of("description: x\n");
    EXPECT_NE(text.find("`name` is missing; write `name: shop.prices`"), text.npos) << text;
    EXPECT_NE(text.find("`source` is missing"), text.npos) << text;
    EXPECT_NE(text.find("`sinks` is missing"), text.npos) << text;
    const auto parts = problems_of(
        "name: shop.prices\nsource: {type: clickhouse}\nsinks: [{type: redis}, {as: json}]\n"
        "checks: [min_rows, {min_rows: 1, max_drop: 1%}, 5]\ntransform: {drop: [a]}\n"
    );
    EXPECT_NE(parts.find(":2:16: `source` of type clickhouse needs `credential: <name>`"), parts.npos) << parts;
    EXPECT_NE(parts.find("`source` of type clickhouse needs `query`: The SELECT."), parts.npos) << parts;
    EXPECT_NE(parts.find("`sinks[0]` of type redis needs `as`"), parts.npos) << parts;
    EXPECT_NE(parts.find("`sinks[1]` has no `type:`; it is `redis`"), parts.npos) << parts;
    EXPECT_NE(parts.find(":4:10: `checks.min_rows` needs `rows`: How many."), parts.npos) << parts;
    EXPECT_NE(parts.find("one step of `checks` has one key, found `min_rows`, `max_drop`"), parts.npos) << parts;
    EXPECT_NE(parts.find("unknown step `5` in `checks`"), parts.npos) << parts;
    EXPECT_NE(parts.find("`transform` must be a list of steps"), parts.npos) << parts;
}

TEST(Parse, EmptyFilesAndOtherShapes) {
    EXPECT_NE(problems_of("").find(":1:1: the file is empty"), std::string::npos);
    EXPECT_NE(problems_of("# only a remark\n").find("the file is empty"), std::string::npos);
    EXPECT_NE(problems_of("- a\n- b\n").find("a pipeline is a map (`name: …`), found a list"), std::string::npos);
    EXPECT_NE(problems_of("hello").find("found `hello`"), std::string::npos);
    EXPECT_NE(
        problems_of(with("sinks: []\n")).find("`sinks` is written twice; the first is on line 3"), std::string::npos
    );
    EXPECT_NE(
        problems_of("name: shop.prices\nsource: {type: http, url: u}\nsinks: []\n").find("found an empty list"),
        std::string::npos
    );
}

TEST(Parse, TwoSinksMustNotShareAnOutput) {
    const auto text = problems_of(
        "name: shop.prices\nsource: {type: http, url: u}\nsinks:\n  - {type: redis, as: json}\n"
        "  - {type: redis, as: set, key: cache:shop.prices}\n"
    );
    EXPECT_NE(text.find(":5:5: sinks[0] and sinks[1] write to the same output, redis:cache:shop.prices"), text.npos)
        << text;
}

TEST(Parse, NoSecretsInFiles) {
    for (const std::string_view line :
         {"password: hunter2\n",
          "api_key: hunter2\n",
          "clientSecret: hunter2\n",
          "token: hunter2\n",
          "key_file: hunter2\n"}) {
        const auto text = problems_of(with(line));
        EXPECT_NE(text.find("no secret may be written here; store it with `headrace credential set`"), text.npos)
            << text;
        EXPECT_EQ(text.find("hunter2"), text.npos) << text;
    }
    const auto in_source = problems_of(
        "name: shop.prices\nsource: {type: http, url: \"https://u:hunter2@h/x\", password: hunter2}\n"
        "sinks: {type: redis, as: json}\n"
    );
    EXPECT_NE(in_source.find("this looks like a secret"), in_source.npos) << in_source;
    EXPECT_NE(in_source.find("`password`: no secret may be written here"), in_source.npos) << in_source;
    EXPECT_EQ(in_source.find("hunter2"), in_source.npos) << in_source;
    const auto header = problems_of(
        "name: shop.prices\nsource: {type: http, url: u, headers: {Authorization: Bearer hunter2hunter2}}\n"
        "sinks: {type: redis, as: json}\n"
    );
    EXPECT_NE(header.find("`source.headers.Authorization`: no secret"), header.npos) << header;
    EXPECT_EQ(header.find("hunter2"), header.npos) << header;
    const auto wrong_type = problems_of(with("timeout: https://u:hunter2@h/\n"));
    EXPECT_EQ(wrong_type.find("hunter2"), wrong_type.npos) << wrong_type;
}

TEST(Parse, ColumnsMayBeNamedLikeSecrets) {
    const auto result =
        parse(with("columns: {password: string, token: string}\ntransform: [{rename: {token: t}}, {drop: [password]}]\n"
        ));
    EXPECT_TRUE(result.ok()) << all(result);
}

TEST(Parse, Defaults) {
    const auto defaults =
        "retry: {attempts: 7, backoff: 1m}\ntimeout: 3m\nowner: team\nschedule: {timezone: Europe/Kyiv}\n";
    const auto plain = parse(with(""), defaults);
    ASSERT_TRUE(plain.ok()) << all(plain);
    EXPECT_EQ(plain.definition.retry.attempts, 7);
    EXPECT_EQ(plain.definition.timeout, 3min);
    EXPECT_EQ(plain.definition.owner, "team");
    EXPECT_FALSE(plain.definition.schedule) << "a zone alone is no schedule";
    const auto own = parse(with("retry: {attempts: 2}\nschedule: \"0 * * * *\"\nowner: me\n"), defaults);
    ASSERT_TRUE(own.ok()) << all(own);
    EXPECT_EQ(own.definition.retry.attempts, 2);
    EXPECT_EQ(own.definition.retry.backoff, 1min);
    EXPECT_EQ(own.definition.schedule->timezone, "Europe/Kyiv");
    EXPECT_EQ(own.definition.owner, "me");
    EXPECT_EQ(
        parse(with("schedule: {cron: \"0 * * * *\", timezone: UTC}\n"), defaults).definition.schedule->timezone, "UTC"
    );
}

TEST(Parse, WrongDefaultsNameTheirOwnFileOnce) {
    const auto text =
        problems_of(with(""), "timeout: 5\nsource: {}\nretry: {attempt: 3}\nschedule: {cron: x, timezone: Mars/One}\n");
    EXPECT_NE(text.find("pipelines/_defaults.yaml:1:10: `timeout: 5` needs a unit"), text.npos) << text;
    EXPECT_NE(text.find("pipelines/_defaults.yaml:2:1: unknown key `source`"), text.npos) << text;
    EXPECT_NE(
        text.find("pipelines/_defaults.yaml:3:9: unknown key `attempt` in `retry`; did you mean `attempts`?"), text.npos
    ) << text;
    EXPECT_NE(text.find("_defaults.yaml:4:12: unknown key `cron` in `schedule`"), text.npos) << text;
    EXPECT_NE(text.find("_defaults.yaml:4:31: "), text.npos) << text;
    EXPECT_EQ(text.find("timeout: 5"), text.rfind("timeout: 5")) << text;
    EXPECT_NE(problems_of(with(""), "timeout: [\n").find("_defaults.yaml:2:1: not valid YAML"), std::string::npos)
        << problems_of(with(""), "timeout: [\n");
}

TEST(Parse, NameWithoutAFile) {
    const auto result = parse_definition(with(""), "<editor>", test_registry());
    EXPECT_TRUE(result.ok()) << all(result);
    EXPECT_NE(
        all(parse_definition("name: a b\n", "<editor>", test_registry())).find("`name` has 1 to 64 letters"),
        std::string::npos
    );
}

}  // namespace
}  // namespace headrace::pipeline
