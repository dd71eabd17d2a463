// What each kind of paging takes for a proof, and what not; Link headers; the set of ids; Retry-After.
#include "base/error.hpp"
#include "source/http/id_set.hpp"
#include "source/http/pace.hpp"
#include "source/http/paging.hpp"
#include "source/retry_after.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace headrace::source::http {
namespace {

Config plan_of(PagingKind kind) {
    Config out;
    out.paging.kind = kind;
    out.paging.position = "at";
    out.paging.first = kind == PagingKind::page ? 1 : 0;
    return out;
}

PageFacts some(std::uint64_t rows, std::uint64_t hash) {
    PageFacts out;
    out.rows = out.fresh = rows;
    out.hash = hash;
    out.uniform = false;
    return out;
}

std::string code_of(const std::function<void()>& body) {
    try {
        body();
        return "";
    } catch (const Error& error) {
        return error.code();
    }
}

std::string position(const std::optional<Ask>& ask) {
    return ask && !ask->query.empty() ? ask->query.front().second : "";
}

TEST(HttpPaging, NumberedPagesEndWithAnEmptyOne) {
    const auto config = plan_of(PagingKind::page);
    const auto paging = make_paging(config);
    EXPECT_EQ(position(paging->next()), "1");
    paging->done(some(100, 1));
    EXPECT_EQ(position(paging->next()), "2");
    paging->done(some(3, 2));  // a short page is not the last one
    EXPECT_EQ(position(paging->next()), "3");
    paging->done(some(0, 0));
    EXPECT_FALSE(paging->next());
    EXPECT_EQ(paging->proof(), "3 pages, none twice, the last one empty; 103 rows");
}

TEST(HttpPaging, GuessesTheNumberOfTheNextPage) {
    auto config = plan_of(PagingKind::page);
    config.paging.total = "/n";
    config.paging.page_rows = 10;
    const auto paging = make_paging(config);
    paging->next();
    const auto guess = paging->guess();
    auto facts = some(10, 1);
    facts.total = "20";
    paging->done(facts);
    EXPECT_EQ(position(guess), "2");
    EXPECT_EQ(guess, paging->next());
    EXPECT_FALSE(paging->guess()) << "one more page meets the total";
    for (const auto kind : {PagingKind::none, PagingKind::cursor, PagingKind::link}) {
        const auto other = plan_of(kind);
        EXPECT_FALSE(make_paging(other)->guess());
    }
}

TEST(HttpPaging, ARepeatedPageIsNoticed) {
    for (const auto kind : {PagingKind::page, PagingKind::offset}) {
        const auto config = plan_of(kind);
        const auto paging = make_paging(config);
        paging->next();
        paging->done(some(2, 7));
        paging->next();
        EXPECT_EQ(code_of([&] { paging->done(some(2, 7)); }), "source.incomplete");
    }
    // Rows that are all the same may make the same page.
    const auto config = plan_of(PagingKind::page);
    const auto paging = make_paging(config);
    auto same = some(2, 7);
    same.uniform = true;
    paging->done(same);
    EXPECT_EQ(code_of([&] { paging->done(same); }), "");
}

TEST(HttpPaging, TotalsMustStayAndBeMet) {
    auto config = plan_of(PagingKind::page);
    config.paging.total = "/total";
    const auto with = [](std::uint64_t rows, std::uint64_t hash, std::optional<std::string> total) {
        auto out = some(rows, hash);
        out.total = std::move(total);
        return out;
    };
    auto paging = make_paging(config);
    paging->done(with(2, 1, "3"));
    paging->done(with(1, 2, "3"));
    EXPECT_FALSE(paging->next()) << "met: no empty page is asked for";
    paging = make_paging(config);
    paging->done(with(2, 1, "3"));
    EXPECT_EQ(code_of([&] { paging->done(with(1, 2, "4")); }), "source.incomplete");
    paging = make_paging(config);
    paging->done(with(2, 1, "3"));
    EXPECT_EQ(code_of([&] { paging->done(with(0, 0, "3")); }), "source.incomplete") << "one is missing";
    paging = make_paging(config);
    EXPECT_EQ(code_of([&] { paging->done(with(4, 1, "3")); }), "source.incomplete") << "one too many";
    for (const auto& bad : {std::optional<std::string>(), std::optional<std::string>("many")}) {
        paging = make_paging(config);
        EXPECT_EQ(code_of([&] { paging->done(with(1, 1, bad)); }), "source.incomplete");
    }
    config.paging.kind = PagingKind::none;
    paging = make_paging(config);
    EXPECT_EQ(code_of([&] { paging->done(with(2, 1, "3")); }), "source.incomplete");
}

TEST(HttpPaging, Cursors) {
    auto config = plan_of(PagingKind::cursor);
    config.paging.cursor = "/next";
    const auto with = [](std::optional<std::string> cursor, std::optional<std::string> more = std::nullopt) {
        static std::uint64_t hash = 0;
        auto out = some(1, ++hash);
        out.cursor = std::move(cursor);
        out.more = std::move(more);
        return out;
    };
    auto paging = make_paging(config);
    EXPECT_EQ(position(paging->next()), "") << "the first page has none";
    paging->done(with("a b"));
    EXPECT_EQ(position(paging->next()), "a b");
    EXPECT_EQ(paging->next()->placeholders.front().second, "\"a b\"");
    paging->done(with(""));
    EXPECT_FALSE(paging->next());
    paging = make_paging(config);
    paging->done(with("a"));
    paging->done(with("b"));
    EXPECT_EQ(code_of([&] { paging->done(with("a")); }), "source.incomplete");
    config.paging.more = "/more";
    paging = make_paging(config);
    paging->done(with("a", "true"));
    paging->done(with("b", "false"));
    EXPECT_FALSE(paging->next());
    EXPECT_EQ(code_of([&] { make_paging(config)->done(with(std::nullopt, "true")); }), "source.incomplete");
    EXPECT_EQ(code_of([&] { make_paging(config)->done(with("a", std::nullopt)); }), "source.incomplete");
}

TEST(HttpPaging, Links) {
    const auto config = plan_of(PagingKind::link);
    const auto with = [](std::string url) {
        static std::uint64_t hash = 0;
        auto out = some(1, ++hash);
        out.next_url = std::move(url);
        return out;
    };
    const auto paging = make_paging(config);
    paging->done(with("https://x/2"));
    EXPECT_EQ(paging->next()->url, "https://x/2");
    paging->done(with("https://x/3"));
    EXPECT_EQ(code_of([&] { paging->done(with("https://x/2")); }), "source.incomplete");
    EXPECT_EQ(next_link(R"(<https://x/1>; rel="prev", </a?p=2,3>; title="a, \"b"; REL="last next")"), "/a?p=2,3");
    EXPECT_EQ(next_link("<b>;rel=next"), "b");
    EXPECT_EQ(next_link(R"(<b>; rel="nextish")"), "");
    EXPECT_EQ(next_link("nonsense"), "");
    EXPECT_EQ(resolve_reference("https://x:1/a/b?c=1", "/d?e=2"), "https://x:1/d?e=2");
    EXPECT_EQ(resolve_reference("https://x/a/b?c=1", "?e=2"), "https://x/a/b?e=2");
    EXPECT_EQ(resolve_reference("https://x/a/b?c=1", "d"), "https://x/a/d");
    EXPECT_EQ(resolve_reference("https://x", "d"), "https://x/d");
    EXPECT_EQ(resolve_reference("https://x/a", "//y/z"), "https://y/z");
    EXPECT_EQ(resolve_reference("https://x/a", "http://y/z"), "http://y/z");
    EXPECT_EQ(resolve_reference("https://x/a", "/go?to=http://y"), "https://x/go?to=http://y");
    EXPECT_EQ(origin_of("HTTPS://Api.Example/x"), "https://api.example:443");
}

// A list that is read by position, and what happens to it between two requests.
class HttpOffset : public testing::Test {
protected:
    HttpOffset() : config_(plan_of(PagingKind::offset)) {
        config_.paging.first = 1;
        config_.paging.page_rows = 10;
        config_.paging.size = "n";
        config_.paging.overlap = 3;
        config_.paging.keyed = true;
        config_.paging.probe_first = true;
        for (std::int64_t i = 0; i < 35; ++i) {
            list_.push_back(i);
        }
    }

    // Reads it all; `between` is called before the answer to request `n` is made.
    std::string read(const std::function<void(int n)>& between = [](int) {}) {
        IdSet seen;
        auto pass_seen = std::make_unique<IdSet>();
        int pass = 1;
        int n = 0;
        const auto paging = make_paging(config_);
        return code_of([&] {
            std::optional<Ask> guess;
            while (const auto ask = paging->next()) {
                (guess == ask ? foreseen_ : not_foreseen_) += guess ? 1 : 0;
                if (n > 200) {
                    throw Error(ErrorKind::bug, "internal.bug", "no end");
                }
                between(++n);
                if (std::exchange(pass, paging->pass()) != pass) {
                    pass_seen = std::make_unique<IdSet>();
                }
                const auto from = std::stoll(position(ask)) - config_.paging.first + shift_;
                PageFacts facts;
                const auto most = std::min<std::int64_t>(std::stoll(ask->query.at(1).second), cap_);
                for (auto i = ignore_ ? 0 : std::max<std::int64_t>(from, 0);
                     i < std::min<std::int64_t>(from + most, static_cast<std::int64_t>(list_.size())) ||
                     (ignore_ && i < most);
                     ++i) {
                    const auto key = list_[static_cast<std::size_t>(i)];
                    const bool fresh_in_pass = pass_seen->insert(key);
                    facts.first_seen = facts.rows == 0 ? !fresh_in_pass : facts.first_seen;
                    facts.fresh_in_pass += fresh_in_pass ? 1 : 0;
                    if (seen.insert(key)) {
                        ++facts.fresh;
                        read_.insert(key);
                    }
                    facts.keys.push_back(key);
                    ++facts.rows;
                }
                guess = facts.rows > 0 ? paging->guess() : std::nullopt;
                paging->done(facts);
            }
            proof_ = paging->proof();
        });
    }

    bool all_read() const {
        return std::all_of(list_.begin(), list_.end(), [&](auto key) { return read_.count(key) == 1; });
    }

    Config config_;
    std::vector<std::int64_t> list_;
    std::set<std::int64_t> read_;
    std::int64_t cap_ = 1000;
    std::int64_t shift_ = 0;
    bool ignore_ = false;
    int foreseen_ = 0, not_foreseen_ = 0;  // guesses
    std::string proof_;
};

TEST_F(HttpOffset, AQuietList) {
    EXPECT_EQ(read(), "");
    EXPECT_TRUE(all_read());
    EXPECT_NE(proof_.find("in 1 pass,"), std::string::npos) << proof_;
    EXPECT_EQ(foreseen_, 4);  // 8, 15, 22, 29
    EXPECT_EQ(not_foreseen_, 1);
    for (std::size_t size = 34; size < 35; --size) {
        list_.resize(size);
        read_.clear();
        EXPECT_EQ(read(), "") << size;
        EXPECT_TRUE(all_read());
    }
}

TEST_F(HttpOffset, AServerThatGivesLess) {
    for (cap_ = 1; cap_ < 12; ++cap_) {
        read_.clear();
        EXPECT_EQ(read(), "") << cap_;
        EXPECT_TRUE(all_read()) << cap_;
    }
}

// Whatever is removed and added, where and when: rows that stay are read, or the read fails.
TEST_F(HttpOffset, NoRowThatStaysIsLost) {
    int good = 0;
    for (unsigned seed = 0; seed < 3000; ++seed) {
        std::mt19937 draw(seed);
        list_.clear();
        for (std::int64_t i = 0; i < 60; ++i) {
            list_.push_back(i);
        }
        const auto original = list_;
        read_.clear();
        std::int64_t next_key = 1000;
        const int changes = 1 + static_cast<int>(draw() % 3);
        std::set<int> when;
        for (int i = 0; i < changes; ++i) {
            when.insert(1 + static_cast<int>(draw() % 10));
        }
        const auto code = read([&](int n) {
            if (when.count(n) == 0) {
                return;
            }
            const auto at = static_cast<std::ptrdiff_t>(draw() % (list_.size() + 1));
            const auto count = static_cast<std::ptrdiff_t>(1 + draw() % 8);
            if (draw() % 2 == 0) {
                list_.erase(
                    list_.begin() + at,
                    list_.begin() + std::min<std::ptrdiff_t>(at + count, static_cast<std::ptrdiff_t>(list_.size()))
                );
            } else {
                for (std::ptrdiff_t i = 0; i < count; ++i) {
                    list_.insert(list_.begin() + at, next_key++);
                }
            }
        });
        if (code.empty()) {
            ++good;
            for (const auto key : original) {
                const bool stayed = std::find(list_.begin(), list_.end(), key) != list_.end();
                ASSERT_TRUE(!stayed || read_.count(key) == 1) << "seed " << seed << ", row " << key;
            }
        } else {
            ASSERT_EQ(code, "source.incomplete") << "seed " << seed;
        }
    }
    EXPECT_GT(good, 2000) << "most changes can be read around";
}

TEST_F(HttpOffset, WithoutTheOverlapRowsAreLost) {  // the test above can fail
    const auto remove_one = [&](int n) {
        if (n == 3) {
            list_.erase(list_.begin() + 15);
        }
    };
    EXPECT_EQ(read(remove_one), "");
    EXPECT_TRUE(all_read());
    read_.clear();
    config_.paging.overlap = 0;
    read(remove_one);
    EXPECT_FALSE(all_read());
}

TEST_F(HttpOffset, ServersThatCannotPage) {
    ignore_ = true;
    EXPECT_EQ(read(), "source.incomplete") << "the same rows for ever";
    ignore_ = false;
    shift_ = 1;
    EXPECT_EQ(read(), "source.incomplete") << "positions begin at 0";
    shift_ = 0;
    EXPECT_EQ(read([&](int) { list_.push_back(static_cast<std::int64_t>(list_.size())); }), "source.incomplete")
        << "grows with each look";
    EXPECT_EQ(
        read([&](int n) { std::shuffle(list_.begin(), list_.end(), std::mt19937(static_cast<unsigned>(n))); }),
        "source.incomplete"
    ) << "has no order";
}

TEST(HttpIdSet, HoldsWhatWasPutIn) {
    IdSet set;
    std::set<std::int64_t> known;
    std::mt19937_64 draw(1);
    for (int i = 0; i < 200'000; ++i) {
        const auto id =
            i % 5 == 0 ? static_cast<std::int64_t>(draw()) : static_cast<std::int64_t>(draw() % 90'000) - 20'000;
        ASSERT_EQ(set.insert(id), known.insert(id).second);
    }
    EXPECT_EQ(set.size(), known.size());
    for (const auto id : known) {
        ASSERT_TRUE(set.contains(id));
    }
    EXPECT_FALSE(set.contains(1'000'000));
}

TEST(HttpPace, OneAccountOnePace) {
    Paces paces;
    const auto one = paces.of("a@x");
    EXPECT_EQ(one, paces.of("a@x"));
    EXPECT_NE(one, paces.of("b@x"));
    const auto first = one->reserve(std::chrono::seconds(1));
    EXPECT_EQ(one->reserve(std::chrono::seconds(1)) - first, std::chrono::seconds(1));
    one->hold_until(first + std::chrono::seconds(10));
    EXPECT_FALSE(one->reserve_now(std::chrono::seconds(0)));
    EXPECT_EQ(one->reserve(std::chrono::seconds(0)) - first, std::chrono::seconds(10));
    const auto other = paces.of("b@x");
    EXPECT_TRUE(other->reserve_now(std::chrono::hours(1)));
    EXPECT_FALSE(other->reserve_now(std::chrono::hours(1)));
}

}  // namespace
}  // namespace headrace::source::http
