// What every source promises (pipeline/source.hpp), asked of each in the same words against its real server or its
// simulator, through a proxy that holds, slows down and cuts.
#include "base/error.hpp"
#include "base/process_stats.hpp"
#include "contract/source_benches.hpp"
#include "net/wait.hpp"
#include "support/proxy.hpp"
#include "support/sanitized.hpp"

#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace headrace {
namespace {

using pipeline::Part;
using pipeline::Source;
using std::chrono::milliseconds;
using std::chrono::seconds;
using support::Proxy;

constexpr auto patience = seconds(30);
constexpr auto at_once = seconds(3);  // for a cancel, a deadline: nothing that a person would wait for

struct Ending {
    std::string code;  // "" = the end was proven
    ErrorKind kind = ErrorKind::bug;
    std::string message;
};

template <class Bench>
class SourceContract : public testing::Test {
protected:
    std::unique_ptr<Source> make(const Part& part) { return make(part, bench_.credential(bench_.port())); }

    std::unique_ptr<Source> make(const Part& part, const pipeline::Credential& credential) {
        return bench_.type().make(part, credential);
    }

    // Through a proxy; good as long as that.
    std::unique_ptr<Source> make(const Part& part, const Proxy& proxy) {
        return make(part, bench_.credential(proxy.port()));
    }

    pipeline::SourceContext context(StopToken stop = {}, Deadline deadline = Deadline::in(patience)) {
        return {
            .stop = std::move(stop),
            .deadline = deadline,
            .run_id = "contract",
            .attempt_id = {},
            .log = [this](std::string_view, const std::string& line) {
                const std::lock_guard lock(mutex_);
                said_ += line + "\n";
            }};
    }

    // From connect to the end. Ids that came are counted in `ids_`.
    Ending read(Source& source, const pipeline::SourceContext& asked) {
        return ending([&] {
            source.connect(asked);
            auto range = asked.range;
            if (range) {
                source.restrict(*range);
            }
            range_ = range;
            schema_ = source.query();
            ids_.clear();
            rows_ = 0;
            data::Batch batch(schema_);
            while (source.next(batch)) {
                EXPECT_GT(batch.rows(), 0u);
                EXPECT_EQ(batch.first_row, rows_);
                EXPECT_TRUE(batch.schema() == schema_);
                for (std::size_t row = 0; row < batch.rows(); ++row) {
                    ids_.insert(batch.column(0).int64(row));
                }
                rows_ += batch.rows();
                batch.reset(schema_);
            }
        });
    }

    template <class Work>
    Ending ending(Work work) {
        try {
            work();
            return {};
        } catch (const Error& error) {
            const std::lock_guard lock(mutex_);
            said_ += std::string(error.what()) + "\n" + error.hint() + "\n";
            return {error.code(), error.kind(), error.message()};
        }
    }

    bool soon(const std::function<bool()>& done, seconds limit = seconds(10)) {
        const auto until = Deadline::in(limit);
        while (!done()) {
            if (until.passed()) {
                return false;
            }
            net::wait_readable(-1, Deadline::in(milliseconds(20)), {});
        }
        return true;
    }

    // Nothing that the source said, in errors or to the log, may hold a secret.
    void TearDown() override {
        for (const auto& secret : bench_.secrets(bench_.credential(bench_.port()))) {
            EXPECT_EQ(said_.find(secret), std::string::npos) << "a message holds a secret";
        }
        for (const auto& secret : bench_.secrets(with_wrong_secret())) {
            EXPECT_EQ(said_.find(secret), std::string::npos) << "a message holds a secret";
        }
    }

    pipeline::Credential with_wrong_secret() {
        auto out = bench_.credential(bench_.port());
        out.secret = bench_.wrong_secret();
        return out;
    }

    Bench bench_;
    std::mutex mutex_;
    std::string said_;
    data::Schema schema_;
    std::set<std::int64_t> ids_;
    std::uint64_t rows_ = 0;
    std::optional<pipeline::CursorRange> range_;
};

using Benches = testing::Types<support::ClickHouseBench, support::BigQueryBench, support::HttpBench>;
TYPED_TEST_SUITE(SourceContract, Benches);

TYPED_TEST(SourceContract, GivesAllRowsOnceAndProvesIt) {
    const auto source = this->make(this->bench_.table(20'000));
    EXPECT_EQ(this->read(*source, this->context()).code, "");
    EXPECT_EQ(this->rows_, 20'000u);
    EXPECT_EQ(this->ids_.size(), 20'000u);
    EXPECT_EQ(*this->ids_.begin(), 1);
    EXPECT_EQ(*this->ids_.rbegin(), 20'000);
    const auto proof = source->completeness();
    EXPECT_EQ(proof.rows, 20'000u);
    EXPECT_GT(proof.bytes, 0u);
    EXPECT_NE(proof.proof, "");
    EXPECT_EQ(source->bytes_received(), proof.bytes);
    data::Batch batch(this->schema_);
    EXPECT_FALSE(source->next(batch)) << "the end stays the end";
}

TYPED_TEST(SourceContract, KnowsItsColumnsBeforeTheFirstRow) {
    for (const std::uint64_t rows : {0, 1}) {
        const auto source = this->make(this->bench_.table(rows));
        source->connect(this->context());
        const auto schema = source->query();
        ASSERT_EQ(schema.fields.size(), 2u);
        EXPECT_EQ(schema.fields[0].name, "id");
        EXPECT_EQ(schema.fields[0].kind, data::Kind::int64);
        EXPECT_EQ(schema.fields[1].name, "name");
        EXPECT_EQ(schema.fields[1].kind, data::Kind::string);
        data::Batch batch(schema);
        EXPECT_EQ(source->next(batch), rows > 0);
        batch.reset(schema);
        EXPECT_EQ(source->next(batch), false);
        EXPECT_EQ(source->completeness().rows, rows);
    }
}

TYPED_TEST(SourceContract, CancelEndsItHereAndThere) {
    StopSource stop;
    {
        const auto source = this->make(this->bench_.endless());
        Ending end;
        std::thread reader([&] { end = this->read(*source, this->context(stop.token(), Deadline::never())); });
        EXPECT_TRUE(this->soon([&] { return this->bench_.running() > 0; }));
        const auto asked = Deadline::Clock::now();
        stop.request_stop("a person");
        reader.join();
        EXPECT_LT(Deadline::Clock::now() - asked, at_once);
        EXPECT_EQ(end.code, "net.cancelled");
        EXPECT_EQ(end.kind, ErrorKind::cancelled);
    }
    EXPECT_TRUE(this->soon([&] { return this->bench_.running() == 0; }));
}

TYPED_TEST(SourceContract, IsNotBegunWhenItIsStoppedAlready) {
    StopSource stop;
    stop.request_stop("before");
    const auto source = this->make(this->bench_.table(1));
    const auto asked = Deadline::Clock::now();
    EXPECT_EQ(this->read(*source, this->context(stop.token())).code, "net.cancelled");
    EXPECT_LT(Deadline::Clock::now() - asked, at_once);
}

TYPED_TEST(SourceContract, KeepsToItsDeadline) {
    {
        const auto source = this->make(this->bench_.endless());
        const auto asked = Deadline::Clock::now();
        const auto end = this->read(*source, this->context({}, Deadline::in(milliseconds(700))));
        EXPECT_LT(Deadline::Clock::now() - asked, at_once);
        EXPECT_EQ(end.code, "source.timeout") << end.message;
        EXPECT_EQ(end.kind, ErrorKind::transient);
    }
    EXPECT_TRUE(this->soon([&] { return this->bench_.running() == 0; }));
}

TYPED_TEST(SourceContract, AServerThatFallsSilentIsNotWaitedForForEver) {
    Proxy proxy(this->bench_.port());
    const auto source = this->make(this->bench_.table(1), proxy);
    proxy.hold_all(true);
    const auto asked = Deadline::Clock::now();
    const auto end = this->read(*source, this->context({}, Deadline::in(milliseconds(700))));
    proxy.hold_all(false);
    EXPECT_LT(Deadline::Clock::now() - asked, at_once);
    EXPECT_EQ(end.kind, ErrorKind::transient) << end.code;
    EXPECT_TRUE(end.code == "source.timeout" || end.code == "source.unavailable") << end.code;
}

TYPED_TEST(SourceContract, AnObjectThatIsDroppedStopsItsRead) {
    StopSource stop;
    auto source = this->make(this->bench_.endless());
    std::thread reader([&] { this->read(*source, this->context(stop.token())); });
    EXPECT_TRUE(this->soon([&] { return this->bench_.running() > 0; }));
    stop.request_stop();
    reader.join();
    const auto asked = Deadline::Clock::now();
    source.reset();
    EXPECT_LT(Deadline::Clock::now() - asked, seconds(6));
    EXPECT_TRUE(this->soon([&] { return this->bench_.running() == 0; }));
}

// Wherever the answer breaks off, its rows are never taken for all of them.
TYPED_TEST(SourceContract, ABrokenAnswerIsNoEnd) {
    for (const std::uint64_t bytes : {1u, 2'000u, 40'000u, 200'000u}) {
        SCOPED_TRACE(bytes);
        Proxy proxy(this->bench_.port());
        const auto source = this->make(this->bench_.table(50'000), proxy);
        proxy.limit(400'000);
        std::atomic<bool> over{false};
        std::thread cutter([&] {
            this->soon([&] { return over || proxy.bytes_to_client() >= bytes; });
            proxy.refuse(true);
        });
        const auto end = this->read(*source, this->context());
        over = true;
        cutter.join();
        EXPECT_TRUE(end.code == "source.incomplete" || end.code == "source.unavailable") << end.code << end.message;
        EXPECT_EQ(end.kind, ErrorKind::transient);
        EXPECT_LT(this->rows_, 50'000u);
    }
}

TYPED_TEST(SourceContract, SaysWhatIsWrongWithItsCode) {
    this->bench_.table(1);
    auto end = this->read(*this->make(this->bench_.refused()), this->context());
    EXPECT_EQ(end.code, "source.query") << end.message;
    EXPECT_EQ(end.kind, ErrorKind::permanent);
    EXPECT_NE(end.message.find("no"), std::string::npos) << "the server's own words: " << end.message;

    end = this->read(*this->make(this->bench_.table(1), this->with_wrong_secret()), this->context());
    EXPECT_EQ(end.code, "source.auth") << end.message;
    EXPECT_EQ(end.kind, ErrorKind::unauthorized);

    auto nobody = this->bench_.credential(1);
    end = this->read(*this->make(this->bench_.table(1), nobody), this->context());
    EXPECT_EQ(end.code, "source.unavailable") << end.message;
    EXPECT_EQ(end.kind, ErrorKind::transient);

    auto elsewhere = this->bench_.credential(this->bench_.port());
    elsewhere.allowed_hosts = {"db.example"};
    end = this->ending([&] { this->make(this->bench_.table(1), elsewhere); });
    EXPECT_EQ(end.code, "credential.host_denied");
    EXPECT_EQ(end.kind, ErrorKind::invalid);

    end = this->ending([&] { this->make(this->bench_.invalid()); });
    EXPECT_EQ(end.code, "pipeline.invalid");
}

// An allowed name may still lead to a forbidden address: that is asked at each connect.
TYPED_TEST(SourceContract, GoesToNoAddressThatItMayNotCall) {
    const auto nowhere = [](const sockaddr*) { return false; };
    const auto credential = this->bench_.credential(this->bench_.port());
    const auto source = this->bench_.type(nowhere).make(this->bench_.table(1), credential);
    const auto end = this->read(*source, this->context());
    EXPECT_EQ(end.code, "http.egress") << end.message;
    EXPECT_EQ(end.kind, ErrorKind::permanent);
    pipeline::ConnectionTest test({}, Deadline::in(seconds(20)));
    EXPECT_EQ(this->ending([&] { this->bench_.credential_type(nowhere).test(credential, test); }).code, "http.egress");
    EXPECT_EQ(test.steps().back().name, "dns");
}

TYPED_TEST(SourceContract, MemoryDoesNotGrowWithTheTable) {
    constexpr std::uint64_t rows = 1'000'000;
    const auto part = this->bench_.large(rows);
    const auto read = [&] {
        const auto source = this->make(part, this->bench_.credential(this->bench_.large_port()));
        source->connect(this->context({}, Deadline::in(seconds(120))));
        const auto schema = source->query();
        data::Batch batch(schema);
        std::uint64_t count = 0;
        std::uint64_t most = 0;
        std::size_t largest = 0;
        while (source->next(batch)) {
            count += batch.rows();
            largest = std::max(largest, batch.bytes());
            most = std::max(most, current_rss_bytes());
            batch.reset(schema);
        }
        EXPECT_EQ(count, rows);
        EXPECT_LE(largest, 4 * data::target_batch_bytes);
        return most;
    };
    const auto before = current_rss_bytes();
    const auto most = read();
    if (!support::sanitized) {  // which keeps what was freed
        EXPECT_LT(most - std::min(before, most), 16u << 20) << "at most so many bytes for any number of rows";
    }
}

TYPED_TEST(SourceContract, APreviewMayStopAfterAFewRows) {
    const auto source = this->make(this->bench_.table(100'000));
    auto asked = this->context();
    asked.first_rows = 10;
    source->connect(asked);
    data::Batch batch(source->query());
    ASSERT_TRUE(source->next(batch));
    EXPECT_GE(batch.rows(), 1u);
    EXPECT_LT(batch.rows(), 1'000u);
}

TYPED_TEST(SourceContract, ReadsARangeAndFixesItsEndFirst) {
    if (!this->bench_.type().incremental) {
        return;  // promises nothing of the kind
    }
    auto asked = this->context();
    asked.range = pipeline::CursorRange{"id", pipeline::CursorKind::integer, "40", std::nullopt};
    const auto part = this->bench_.table(50);
    EXPECT_EQ(this->read(*this->make(part), asked).code, "");
    EXPECT_EQ(this->range_->to, "50");
    EXPECT_EQ(this->rows_, 11u);
    EXPECT_EQ(*this->ids_.begin(), 40);
    asked.range->to = "42";
    EXPECT_EQ(this->read(*this->make(part), asked).code, "");
    EXPECT_EQ(this->ids_, (std::set<std::int64_t>{40, 41, 42}));
    asked.range = pipeline::CursorRange{"id", pipeline::CursorKind::integer, "51", std::nullopt};
    EXPECT_EQ(this->read(*this->make(part), asked).code, "");
    EXPECT_EQ(this->rows_, 0u);
    EXPECT_EQ(this->range_->to, "51") << "nothing is new";
}

TYPED_TEST(SourceContract, ItsCredentialCanBeTried) {
    const auto type = this->bench_.credential_type();
    const auto failed_step = [&](const pipeline::Credential& credential) {
        pipeline::ConnectionTest test({}, Deadline::in(seconds(20)));
        const auto end = this->ending([&] { type.test(credential, test); });
        EXPECT_EQ(end.code.empty(), test.ok()) << end.code;
        for (const auto& step : test.steps()) {
            EXPECT_NE(step.detail, "") << step.name;
            EXPECT_EQ(step.hint.empty(), step.ok) << step.name << ": " << step.detail;
            this->said_ += step.detail + "\n" + step.hint + "\n";
        }
        return test.ok() ? "" : test.steps().back().name;
    };
    EXPECT_EQ(type.kind, this->bench_.credential(1).kind);
    this->bench_.table(1);
    EXPECT_EQ(failed_step(this->bench_.credential(this->bench_.port())), "") << this->said_;
    EXPECT_EQ(failed_step(this->with_wrong_secret()), "login") << this->said_;
    EXPECT_EQ(failed_step(this->bench_.credential(1)), "connect") << this->said_;
    auto elsewhere = this->bench_.credential(this->bench_.port());
    elsewhere.allowed_hosts = {"db.example"};
    EXPECT_EQ(failed_step(elsewhere), "host") << this->said_;
}

}  // namespace
}  // namespace headrace
