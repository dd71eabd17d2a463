// docs/schedules.md holds: every row of its tables is read from the page and checked.
#include "base/error.hpp"
#include "base/units.hpp"
#include "schedule/catchup.hpp"
#include "schedule/cron.hpp"
#include "schedule/preview.hpp"
#include "support/paths.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace headrace::schedule {
namespace {

using Cells = std::vector<std::string>;

std::string trim(std::string text) {
    const auto start = text.find_first_not_of(" `");
    return start == std::string::npos ? "" : text.substr(start, text.find_last_not_of(" `") - start + 1);
}

Cells cells(const std::string& line) {
    Cells out;
    for (std::size_t at = 1, end = 0; (end = line.find(" |", at)) != std::string::npos; at = end + 2) {
        out.push_back(trim(line.substr(at, end - at)));
    }
    return out;
}

// Tables by their header line: "cron|zone|after|next times" → rows.
std::map<std::string, std::vector<Cells>> tables() {
    const auto page = support::source_root() / "docs/schedules.md";
    std::ifstream file(page);
    EXPECT_TRUE(file) << page;
    std::map<std::string, std::vector<Cells>> out;
    std::string header;
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("|")) {
            header.clear();
        } else if (header.empty()) {
            for (const auto& cell : cells(line)) {
                header += (header.empty() ? "" : "|") + cell;
            }
        } else if (!line.starts_with("| ---")) {
            out[header].push_back(cells(line));
        }
    }
    return out;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
    std::string out;
    for (const auto& part : parts) {
        out += (out.empty() ? "" : between) + part;
    }
    return out;
}

TEST(SchedulesPage, Texts) {
    const auto rows = tables()["cron|text"];
    EXPECT_GE(rows.size(), 9U);
    for (const auto& row : rows) {
        EXPECT_EQ(preview(Cron::parse(row[0], "UTC"), now(), 1).text, row[1]) << row[0];
    }
}

TEST(SchedulesPage, Refusals) {
    const auto rows = tables()["cron|message"];
    EXPECT_GE(rows.size(), 4U);
    for (const auto& row : rows) {
        try {
            Cron::parse(row[0], "UTC");
            ADD_FAILURE() << row[0] << " was accepted";
        } catch (const Error& e) {
            EXPECT_EQ(e.message(), row[1]);
        }
    }
}

TEST(SchedulesPage, NextTimes) {
    const auto rows = tables()["cron|zone|after|next times"];
    EXPECT_GE(rows.size(), 12U);
    for (const auto& row : rows) {
        std::vector<std::string> wanted;
        for (std::size_t at = 0; at < row[3].size();) {
            const auto end = std::min(row[3].find(", ", at), row[3].size());
            const auto time = parse_rfc3339(row[3].substr(at, end - at));
            ASSERT_TRUE(time) << row[3];
            wanted.push_back(format_rfc3339(*time));
            at = end + 2;
        }
        const auto after = parse_rfc3339(row[2]);
        ASSERT_TRUE(after) << row[2];
        std::vector<std::string> got;
        for (const auto time : Cron::parse(row[0], row[1]).between(*after, Timestamp::max(), wanted.size())) {
            got.push_back(format_rfc3339(time));
        }
        EXPECT_EQ(joined(got, " "), joined(wanted, " ")) << row[0] << " in " << row[1];
    }
}

TEST(SchedulesPage, Warnings) {
    const auto rows = tables()["cron|zone|now|warning"];
    EXPECT_GE(rows.size(), 6U);
    for (const auto& row : rows) {
        const auto seen = preview(Cron::parse(row[0], row[1]), *parse_rfc3339(row[2]), 1).warnings;
        EXPECT_NE(std::find(seen.begin(), seen.end(), row[3]), seen.end())
            << row[0] << " warns: " << joined(seen, " / ");
    }
}

TEST(SchedulesPage, MissedSlots) {
    const auto rows = tables()["cron|seen until|now|catchup|window|result"];
    EXPECT_GE(rows.size(), 3U);
    for (const auto& row : rows) {
        const auto slots = due_slots(
            Cron::parse(row[0], "UTC"),
            *parse_rfc3339(row[1]),
            *parse_rfc3339(row[2]),
            *parse_catchup(row[3]),
            *parse_duration(row[4]),
            100
        );
        std::vector<std::string> got;
        for (const auto& slot : slots) {
            got.push_back(format_rfc3339(slot.slot).substr(11, 5) + " " + (slot.run ? "runs" : slot.reason));
        }
        EXPECT_EQ(joined(got, "; "), row[5]) << row[3];
    }
}

}  // namespace
}  // namespace headrace::schedule
