// Encodings, units, times, ids, secrets, redaction: small things that everything else rests on.
#include "base/codes.hpp"
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/json_text.hpp"
#include "base/redactor.hpp"
#include "base/secret.hpp"
#include "base/stop.hpp"
#include "base/time.hpp"
#include "base/units.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace headrace {
namespace {

using std::chrono::milliseconds;

TEST(Encoding, Base64AndHexAndPercent) {
    EXPECT_EQ(base64_encode("a?b>c"), "YT9iPmM=");
    EXPECT_EQ(base64url_encode("a?b>c"), "YT9iPmM");
    EXPECT_EQ(base64_decode("YT9iPmM="), "a?b>c");
    EXPECT_EQ(base64_decode("YT9iPm*="), std::nullopt);
    EXPECT_EQ(hex_encode(std::string("\0\xff", 2)), "00ff");
    EXPECT_EQ(hex_decode("00Ff"), std::string("\0\xff", 2));
    EXPECT_EQ(hex_decode("0"), std::nullopt);
    EXPECT_EQ(hex_decode("0g"), std::nullopt);
    EXPECT_EQ(percent_encode("a b/ї"), "a%20b%2F%D1%97");
    EXPECT_EQ(percent_decode("a%20b%2F"), "a b/");
    EXPECT_EQ(percent_decode("a%2"), std::nullopt);
    EXPECT_EQ(percent_decode("a+b", true), "a b");
}

TEST(Units, BytesWantTheirUnit) {
    EXPECT_EQ(parse_bytes("64MiB"), 64u << 20);
    EXPECT_EQ(parse_bytes("512 kB"), 512'000u);
    EXPECT_EQ(parse_bytes("10"), 10u);
    EXPECT_EQ(parse_bytes("10 apples"), std::nullopt);
    EXPECT_EQ(parse_bytes("99999999999GiB"), std::nullopt);
    EXPECT_EQ(parse_bytes("-1"), std::nullopt);
    EXPECT_EQ(format_bytes(46'800'000), "46.8 MB");
}

TEST(Units, DurationsAreLargestFirstAndNeverBare) {
    EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
    EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
    EXPECT_EQ(parse_duration("2d"), milliseconds(172'800'000));
    EXPECT_EQ(parse_duration("10"), std::nullopt);
    EXPECT_EQ(parse_duration("30m1h"), std::nullopt);
    EXPECT_EQ(parse_duration(""), std::nullopt);
    EXPECT_EQ(parse_duration("5x"), std::nullopt);
    EXPECT_EQ(format_duration(milliseconds(70'000)), "1m10s");
}

TEST(Time, ReadsWhatItWritesAndWhatPostgresWrites) {
    const auto time = parse_rfc3339("2026-11-21T18:00:01.102Z");
    ASSERT_TRUE(time);
    EXPECT_EQ(format_rfc3339(*time), "2026-11-21T18:00:01.102Z");
    EXPECT_EQ(parse_rfc3339("2026-11-21 18:00:01.102+00"), time);
    EXPECT_EQ(parse_rfc3339("2026-11-21T20:00:01.102+02:00"), time);
    EXPECT_EQ(format_rfc3339(*time + std::chrono::microseconds(7)), "2026-11-21T18:00:01.102007Z");
    EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.999999Z")->time_since_epoch().count(), -1);
    EXPECT_EQ(parse_rfc3339("2026-02-29T00:00:00Z"), std::nullopt);
    EXPECT_EQ(parse_rfc3339("2026-11-21T18:00:01"), std::nullopt) << "no zone";
    EXPECT_EQ(format_date(-719'528), "0000-01-01");
}

TEST(Ids, AreUniqueOrderedAndWellFormed) {
    std::set<std::string> seen;
    std::string last;
    for (int i = 0; i < 1000; ++i) {
        const auto id = make_uuid_v4();
        EXPECT_TRUE(is_uuid(id)) << id;
        EXPECT_EQ(id[14], '4');
        EXPECT_TRUE(seen.insert(id).second);
        const auto timed = make_uuid_v7();
        EXPECT_EQ(timed[14], '7');
        EXPECT_LE(last.substr(0, 13), timed.substr(0, 13));
        last = timed;
    }
    EXPECT_FALSE(is_uuid("run-0190"));
    EXPECT_EQ(random_token(32).size(), 43u);
}

TEST(Secret, IsMaskedWhereItCouldShow) {
    EXPECT_EQ(mask_url("postgres://etl:hunter2@db/x"), "postgres://etl:***@db/x");
    EXPECT_EQ(mask_url("redis://127.0.0.1:6379/0"), "redis://127.0.0.1:6379/0");
    EXPECT_EQ(mask_url("host=db password=hunter2 user=etl"), "host=db password=*** user=etl");
    Secret one("hunter2");
    const Secret two = std::move(one);
    EXPECT_EQ(two.reveal(), "hunter2");
    EXPECT_TRUE(one.empty());  // NOLINT(bugprone-use-after-move): that it is empty is the point
}

TEST(Redactor, KnowsASecretInItsSpellings) {
    Redactor redactor;
    EXPECT_EQ(redactor.apply("hunter2 is shown"), "hunter2 is shown");
    redactor.add(Secret("hunter2/ї"));
    EXPECT_EQ(redactor.apply("a hunter2/ї b"), "a *** b");
    EXPECT_EQ(redactor.apply("key=" + percent_encode("hunter2/ї")), "key=***");
    EXPECT_EQ(redactor.apply("key=" + base64_encode("hunter2/ї")), "key=***");
    EXPECT_EQ(redactor.apply("key=" + hex_encode("hunter2/ї")), "key=***");
    redactor.add(Secret("ab"));
    EXPECT_EQ(redactor.apply("table"), "table") << "too short to look for";
}

TEST(Json, InvalidUtf8BecomesReplacementCharacters) {
    EXPECT_EQ(json_string("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\n\\u0001\"");
    EXPECT_EQ(json_string("Київ"), "\"Київ\"");
    EXPECT_EQ(json_string("\xff"), "\"\xEF\xBF\xBD\"");
    EXPECT_EQ(json_string("\xE2\x82"), "\"\xEF\xBF\xBD\"") << "one for a cut sequence";
    EXPECT_EQ(json_string("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"") << "surrogates are not UTF-8";
    EXPECT_TRUE(is_utf8("Одеса"));
    EXPECT_FALSE(is_utf8("\xC0\xAF"));
}

TEST(Error, GathersContextAndHint) {
    Error error(ErrorKind::transient, "source.incomplete", "the body was cut");
    error.within("source clickhouse").within("pipeline t");
    EXPECT_STREQ(error.what(), "source.incomplete: pipeline t: source clickhouse: the body was cut");
    EXPECT_EQ(error.hint(), std::string(find_code("source.incomplete")->hint));
    EXPECT_EQ(as_error(std::make_exception_ptr(std::bad_alloc())).code(), "run.memory");
    EXPECT_EQ(as_error(std::make_exception_ptr(std::runtime_error("x"))).code(), "internal.bug");
}

TEST(Codes, AreSortedUniqueAndWritten) {
    std::string_view last;
    for (const auto& info : all_codes()) {
        EXPECT_LT(last, info.code);
        EXPECT_FALSE(info.sentence.empty()) << info.code;
        last = info.code;
    }
}

TEST(Stop, FirstReasonStaysAndPollSeesIt) {
    StopSource source;
    const auto token = source.token();
    EXPECT_FALSE(token.stop_requested());
    std::thread other([&] { source.request_stop("timeout"); });
    other.join();
    source.request_stop("cancelled");
    EXPECT_EQ(token.reason(), "timeout");
    EXPECT_THROW(token.throw_if_stopped(), Error);
    EXPECT_EQ(StopToken().fd(), -1);
}

}  // namespace
}  // namespace headrace
