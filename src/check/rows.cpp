// min_rows, max_drop, rows_change_max: guards over the number of rows.
#include "base/error.hpp"
#include "check/checks.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

namespace headrace::check {
namespace {

using pipeline::Check;
using pipeline::OptionKind;
using pipeline::Part;

[[noreturn]] void invalid(const Part& part, std::string message) {
    const auto& place = part.options.place;
    throw Error(
        ErrorKind::invalid,
        "pipeline.invalid",
        place.file.empty() ? std::move(message)
                           : fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, message)
    );
}

// "50%" or "12.5%" in thousandths of a percent: no doubles in a decision.
std::uint64_t read_percent(const Part& part) {
    const auto text = part.options.get("value");
    double percent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (error != std::errc() || !(percent >= 0) || percent > 1e6 ||
        std::string_view(end, text.data() + text.size()) != "%") {
        invalid(part, fmt::format("`{}: {}` must be a percentage such as 50%", part.type, text));
    }
    return static_cast<std::uint64_t>(std::llround(percent * 1000));
}

class MinRows final : public Check {
public:
    explicit MinRows(const Part& part) : least_(0) {
        const auto rows = part.options.get_int("value", -1);
        if (rows < 0) {
            invalid(part, "`min_rows` must be a number of rows, 0 or more");
        }
        least_ = static_cast<std::uint64_t>(rows);
    }

    void prepare(const data::Schema&) override {}

    void see(const data::Batch&, pipeline::Rejects&) override {}

    void verdict(std::uint64_t rows, std::int64_t) override {
        if (rows < least_) {
            throw Error(
                ErrorKind::permanent, "check.min_rows", fmt::format("{} rows, but at least {} are wanted", rows, least_)
            );
        }
    }

private:
    std::uint64_t least_;
};

// `both_ways`: growth counts too.
class Change final : public Check {
public:
    Change(const Part& part, bool both_ways)
        : most_(read_percent(part)), text_(part.options.get("value")), both_ways_(both_ways) {}

    void prepare(const data::Schema&) override {}

    void see(const data::Batch&, pipeline::Rejects&) override {}

    void verdict(std::uint64_t rows, std::int64_t previous_rows) override {
        if (previous_rows <= 0) {
            return;  // nothing to compare with
        }
        const auto before = static_cast<std::uint64_t>(previous_rows);
        const bool fewer = rows < before;
        if (!fewer && !both_ways_) {
            return;
        }
        const unsigned __int128 difference = fewer ? before - rows : rows - before;
        if (difference * 100'000 > static_cast<unsigned __int128>(before) * most_) {
            const double percent = static_cast<double>(difference) * 100 / static_cast<double>(before);
            throw Error(
                ErrorKind::permanent,
                both_ways_ ? "check.rows_change" : "check.max_drop",
                fmt::format(
                    "{} rows, {:.1f} % {} than the {} of the last good result; {} is allowed",
                    rows,
                    percent,
                    fewer ? "fewer" : "more",
                    before,
                    text_
                )
            );
        }
    }

private:
    std::uint64_t most_;
    std::string text_;
    bool both_ways_;
};

}  // namespace

pipeline::CheckType min_rows_type() {
    return {
        "min_rows",
        "The result has at least so many rows.",
        {{"value", OptionKind::integer, true, "", "How many rows.", {}}},
        [](const Part& part) { return std::make_unique<MinRows>(part); }};
}

pipeline::CheckType max_drop_type() {
    return {
        "max_drop",
        "The result is not much smaller than the last good one.",
        {{"value", OptionKind::text, true, "", "The largest loss of rows, e.g. 50%.", {}}},
        [](const Part& part) { return std::make_unique<Change>(part, false); }};
}

pipeline::CheckType rows_change_max_type() {
    return {
        "rows_change_max",
        "The number of rows did not change much since the last good result, up or down.",
        {{"value", OptionKind::text, true, "", "The largest change, e.g. 50%.", {}}},
        [](const Part& part) { return std::make_unique<Change>(part, true); }};
}

}  // namespace headrace::check
