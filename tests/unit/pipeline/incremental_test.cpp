#include "pipeline/incremental.hpp"

#include "base/error.hpp"

#include <gtest/gtest.h>

namespace headrace::pipeline {
namespace {

TEST(Incremental, TheFormOfAValueSaysItsKind) {
    EXPECT_EQ(guess_cursor_kind("0"), CursorKind::integer);
    EXPECT_EQ(guess_cursor_kind("-12"), CursorKind::integer);
    EXPECT_EQ(guess_cursor_kind("2024-01-31"), CursorKind::date);
    EXPECT_EQ(guess_cursor_kind("2024-01-31T00:00:00Z"), CursorKind::timestamp);
    EXPECT_EQ(guess_cursor_kind("2024-01-31 10:00:00"), CursorKind::timestamp);
    EXPECT_EQ(guess_cursor_kind("2024-02-31"), CursorKind::text);
    EXPECT_EQ(guess_cursor_kind("018f-a"), CursorKind::text);
    EXPECT_EQ(guess_cursor_kind(""), CursorKind::text);
}

TEST(Incremental, CanonicalTextIsOneForOneValue) {
    EXPECT_EQ(canonical_cursor(CursorKind::integer, "0007"), "7");
    EXPECT_EQ(canonical_cursor(CursorKind::integer, "-0"), "0");
    EXPECT_EQ(canonical_cursor(CursorKind::integer, "18446744073709551615"), "18446744073709551615");
    EXPECT_EQ(canonical_cursor(CursorKind::integer, "-9223372036854775808"), "-9223372036854775808");
    for (const auto* bad : {"", "-", "1.5", "1e3", "18446744073709551616", "-9223372036854775809", " 1"}) {
        EXPECT_EQ(canonical_cursor(CursorKind::integer, bad), std::nullopt) << bad;
    }
    EXPECT_EQ(canonical_cursor(CursorKind::timestamp, "2024-01-31T12:00:00.5+02:00"), "2024-01-31T10:00:00.500000Z");
    EXPECT_EQ(canonical_cursor(CursorKind::timestamp, "2024-01-31"), "2024-01-31T00:00:00.000000Z");
    EXPECT_EQ(canonical_cursor(CursorKind::timestamp, "1969-12-31T23:59:59.999999Z"), "1969-12-31T23:59:59.999999Z");
    EXPECT_EQ(canonical_cursor(CursorKind::date, "2024-01-31"), "2024-01-31");
    EXPECT_EQ(canonical_cursor(CursorKind::date, "2024-1-31"), std::nullopt);
}

TEST(Incremental, ValuesCompareAsWhatTheyMean) {
    const char* integers[] = {"-9223372036854775808", "-10", "-9", "0", "9", "10", "18446744073709551615"};
    for (std::size_t i = 0; i < std::size(integers); ++i) {
        for (std::size_t j = 0; j < std::size(integers); ++j) {
            const int order = compare_cursors(CursorKind::integer, integers[i], integers[j]);
            EXPECT_EQ(order < 0, i < j) << integers[i] << " " << integers[j];
            EXPECT_EQ(order > 0, i > j) << integers[i] << " " << integers[j];
        }
    }
    EXPECT_LT(compare_cursors(CursorKind::timestamp, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000000Z"), 0);
    EXPECT_GT(compare_cursors(CursorKind::text, "b", "ab"), 0);
}

TEST(Incremental, TheLagIsTakenOffExactly) {
    EXPECT_EQ(cursor_minus(CursorKind::integer, "10", 3), "7");
    EXPECT_EQ(cursor_minus(CursorKind::integer, "2", 3), "-1");
    EXPECT_EQ(cursor_minus(CursorKind::integer, "-2", 3), "-5");
    EXPECT_EQ(cursor_minus(CursorKind::integer, "18446744073709551615", 1), "18446744073709551614");
    EXPECT_EQ(cursor_minus(CursorKind::integer, "-9223372036854775807", 5), "-9223372036854775808");
    EXPECT_EQ(cursor_minus(CursorKind::date, "2024-03-01", 1), "2024-02-29");
    EXPECT_EQ(cursor_minus(CursorKind::timestamp, "2024-01-01T00:00:00.000001Z", 2), "2023-12-31T23:59:59.999999Z");
    EXPECT_EQ(cursor_minus(CursorKind::text, "x", 0), "x");
}

TEST(Incremental, WordsAreFoundInPlainSqlOnly) {
    const auto has = [](const char* sql) { return cursor_words(sql).from; };
    EXPECT_TRUE(has("SELECT a WHERE a>=@cursor_from"));
    EXPECT_TRUE(has("@cursor_from"));
    EXPECT_FALSE(has("SELECT '@cursor_from'"));
    EXPECT_FALSE(has("SELECT 'it\\'s @cursor_from'"));
    EXPECT_FALSE(has("SELECT `@cursor_from`, \"@cursor_from\""));
    EXPECT_FALSE(has("SELECT 1 -- @cursor_from"));
    EXPECT_TRUE(has("SELECT 1 -- ' \n WHERE a > @cursor_from"));
    EXPECT_FALSE(has("SELECT 1 /* @cursor_from */"));
    EXPECT_FALSE(has("SELECT @cursor_from_day"));
    EXPECT_EQ(
        bind_cursor("a >= @cursor_from AND a<=@cursor_to OR b = '@cursor_to'", "1", "2"),
        "a >= 1 AND a<=2 OR b = '@cursor_to'"
    );
    EXPECT_EQ(bind_cursor("SELECT 1", "1", "2"), "SELECT 1");
}

std::string problem_of(CursorTracker& tracker, const data::Column& column) {
    try {
        tracker.see(column, 0);
        return "";
    } catch (const Error& e) {
        return e.code() + ": " + e.message();
    }
}

TEST(Incremental, TheTrackerHoldsTheLargestAndRefusesWhatIsOutside) {
    CursorTracker tracker({"id", CursorKind::integer, "5", "20"});
    data::Column column(data::Kind::int64);
    EXPECT_EQ(problem_of(tracker, column), "");
    EXPECT_EQ(tracker.largest(), "");
    for (const int value : {9, 20, 5}) {
        column.add_int64(value);
    }
    EXPECT_EQ(problem_of(tracker, column), "");
    EXPECT_EQ(tracker.largest(), "20");
    column.add_int64(21);
    EXPECT_EQ(problem_of(tracker, column), "source.cursor: row 4: `id` is 21, outside of what was asked for, 5 to 20");
    column.clear();
    column.add_int64(7);
    column.add_int64(4);
    EXPECT_EQ(problem_of(tracker, column), "source.cursor: row 2: `id` is 4, outside of what was asked for, 5 to 20");
    column.clear();
    column.add_null();
    EXPECT_EQ(problem_of(tracker, column), "source.cursor: row 1: the cursor column `id` is null");
    EXPECT_EQ(tracker.largest(), "20");
    CursorTracker large({"id", CursorKind::integer, "0", std::nullopt});
    data::Column wide(data::Kind::uint64);
    wide.add_uint64(~std::uint64_t{0});
    wide.add_uint64(1);
    EXPECT_EQ(problem_of(large, wide), "");
    EXPECT_EQ(large.largest(), "18446744073709551615");
}

TEST(Incremental, BehindAValueOnlyLargerOnesMayCome) {
    CursorTracker tracker({"id", CursorKind::integer, "5", "20"});
    tracker.go_behind("9");
    EXPECT_EQ(tracker.largest(), "9");
    data::Column column(data::Kind::int64);
    column.add_int64(10);
    EXPECT_EQ(problem_of(tracker, column), "");
    EXPECT_EQ(tracker.largest(), "10");
    column.add_int64(9);
    EXPECT_EQ(problem_of(tracker, column), "source.cursor: row 2: `id` is 9, outside of what was asked for, 9 to 20");
}

TEST(Incremental, TheLastValueBeginsWhereItsRowsBegin) {
    data::Column numbers(data::Kind::uint64);
    data::Column texts(data::Kind::string);
    for (const int value : {1, 2, 2, 7, 7, 7}) {
        numbers.add_uint64(static_cast<std::uint64_t>(value));
        texts.add_text(std::to_string(value));
    }
    EXPECT_EQ(begin_of_last_value(numbers), 3u);
    EXPECT_EQ(begin_of_last_value(texts), 3u);
    numbers.add_null();
    EXPECT_EQ(begin_of_last_value(numbers), 6u);
    numbers.clear();
    numbers.add_uint64(7);
    numbers.add_uint64(7);
    EXPECT_EQ(begin_of_last_value(numbers), 0u);
}

}  // namespace
}  // namespace headrace::pipeline
