// The stores of the commit protocol (run/stores.hpp): the same sentences hold for the fakes that tests/sim runs the
// protocol over and for Postgres, Redis and BullMQ.
#include "base/ids.hpp"
#include "contract/store_benches.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace headrace {
namespace {

using run::ClaimOutcome;
using run::Decision;
using run::Verdict;
using std::chrono::milliseconds;

constexpr milliseconds lease{15'000};

const std::vector<run::OutputSpec> one_output = {{"redis:a", "redis"}};
const std::vector<run::OutputSpec> two_outputs = {{"redis:a", "redis"}, {"redis:b", "redis"}};

template <class Stores>
class StoreContract : public testing::Test {
protected:
    StoreContract() { s.add_pipeline("p", true); }

    run::LedgerStore& ledger() { return s.ledger(); }

    std::string trigger(const std::string& trigger = "manual") {
        return ledger().trigger({.pipeline = "p", .trigger = trigger, .by = "test"}).run_id;
    }

    run::Claim claim(const std::string& run, const std::vector<run::OutputSpec>& outputs = one_output) {
        return ledger().claim(run, worker, outputs, lease, make_uuid_v4());
    }

    // Stages `content` into every output of the claim and asks for the decision.
    Decision decide(const std::string& run, const run::Claim& claim, const std::string& content, bool payload = false) {
        run::Sealed sealed{.outputs = {}, .proof = "test"};
        for (const auto& output : claim.outputs) {
            sealed.outputs.push_back({output.id, s.stage(output, content, payload)});
        }
        return ledger().decide(run, claim.attempt_id, sealed, {}, Deadline::never(), {});
    }

    run::Claim decided(const std::string& content, bool payload = false) {
        run_id = trigger();
        auto done = claim(run_id);
        EXPECT_EQ(done.outcome, ClaimOutcome::claimed);
        EXPECT_EQ(decide(run_id, done, content, payload), Decision::committed);
        return done;
    }

    run::Applied apply(const run::Generation& generation, bool force = false) {
        return s.outputs().apply(generation, generation.key().staging, force);
    }

    run::Claim published(const std::string& content, bool payload = false) {
        auto done = decided(content, payload);
        for (const auto& output : done.outputs) {
            const auto generation = ledger().generation(output.id).value();
            EXPECT_EQ(apply(generation), run::Applied::applied);
            ledger().acknowledge(output.id, generation.seq, run_id);
        }
        return done;
    }

    run::Ending end(const std::string& run, const std::string& attempt, ErrorKind kind, std::string_view code) {
        return ledger().end_attempt(
            run,
            attempt,
            {.error = Error(kind, code, "it went wrong"),
             .step = "read",
             .backoff = milliseconds(1'000),
             .backoff_max = milliseconds(5'000),
             .counters = {}}
        );
    }

    run::Chunk chunk(const run::Claim& claim, int number, const std::string& through) {
        run::Chunk chunk{.number = number, .from = "0", .to = "100", .through = through, .counters = {}, .parts = {}};
        chunk.counters.rows_read = 10 * static_cast<std::uint64_t>(number);
        for (const auto& output : claim.outputs) {
            const auto table = fmt::format("o{}_{}_{}", output.id, claim.attempt, number);
            chunk.parts.push_back({output.id, s.put_away(table)});
        }
        return chunk;
    }

    Stores s;
    run::WorkerIdentity worker = s.worker();
    std::string run_id;
};

using AllStores = testing::Types<contract::FakeStores, contract::RealStores>;

struct StoreNames {
    template <class Stores>
    static std::string GetName(int) {
        return std::is_same_v<Stores, contract::FakeStores> ? "Fake" : "Real";
    }
};

TYPED_TEST_SUITE(StoreContract, AllStores, StoreNames);

TYPED_TEST(StoreContract, aClaimMakesTheAttemptTheOwner) {
    const auto run = this->trigger();
    EXPECT_EQ(this->s.state(run), "queued");
    const auto head = this->ledger().read_head({.queue = "etl", .job_id = "j", .run_id = run, .pipeline = "p"});
    ASSERT_TRUE(head);
    EXPECT_EQ(head->pipeline, "p");
    EXPECT_EQ(head->state, "queued");
    EXPECT_EQ(head->max_attempts, 3);
    const auto claim = this->claim(run, two_outputs);
    EXPECT_EQ(claim.outcome, ClaimOutcome::claimed);
    EXPECT_EQ(claim.state, "running");
    EXPECT_EQ(claim.attempt, 1);
    EXPECT_EQ(claim.tries, 1);
    ASSERT_EQ(claim.outputs.size(), 2u);
    EXPECT_EQ(claim.outputs[0].name, "redis:a");
    EXPECT_EQ(claim.outputs[0].previous_rows, -1);
    EXPECT_EQ(this->s.state(run), "running");
}

TYPED_TEST(StoreContract, aSecondDeliveryIsBusyForTheRestOfTheLease) {
    const auto run = this->trigger();
    this->claim(run);
    const auto second = this->claim(run);
    EXPECT_EQ(second.outcome, ClaimOutcome::busy);
    EXPECT_GT(second.wait, milliseconds(10'000));
    EXPECT_LE(second.wait, lease);
}

TYPED_TEST(StoreContract, oneRunOfAPipelineAtATime) {
    const auto first = this->trigger();
    const auto second = this->trigger();
    const auto claim = this->claim(first);
    EXPECT_EQ(this->claim(second).outcome, ClaimOutcome::busy);
    EXPECT_EQ(this->decide(first, claim, "1"), Decision::committed);
    EXPECT_EQ(this->claim(second).outcome, ClaimOutcome::busy);
    EXPECT_EQ(this->s.state(second), "queued");
}

TYPED_TEST(StoreContract, theClaimOfARunThatIsOverSaysSo) {
    EXPECT_EQ(this->claim(contract::nobody).outcome, ClaimOutcome::finished);
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    EXPECT_EQ(this->decide(run, claim, "1"), Decision::committed);
    EXPECT_EQ(this->claim(run).outcome, ClaimOutcome::redo);
    const auto generation = this->ledger().generation(claim.outputs[0].id).value();
    this->ledger().acknowledge(generation.output_id, generation.seq, run);
    EXPECT_EQ(this->claim(run).outcome, ClaimOutcome::finished);
    EXPECT_EQ(this->claim(run).state, "succeeded");
}

TYPED_TEST(StoreContract, aSkippingPipelineTakesNoSecondTrigger) {
    this->s.add_pipeline("q", false);
    const auto trigger = [&] { this->ledger().trigger({.pipeline = "q", .by = "test"}); };
    trigger();
    try {
        trigger();
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), "run.already_active");
    }
}

TYPED_TEST(StoreContract, aDecisionGivesTheNextNumberOnce) {
    const auto run = this->trigger();
    const auto claim = this->claim(run, two_outputs);
    ASSERT_EQ(this->decide(run, claim, "1"), Decision::committed);
    EXPECT_EQ(this->s.state(run), "committed");
    for (const auto& output : claim.outputs) {
        const auto generation = this->ledger().generation(output.id);
        ASSERT_TRUE(generation);
        EXPECT_EQ(generation->seq, 1);
        EXPECT_EQ(generation->epoch, 1);
        EXPECT_EQ(generation->run_id, run);
        EXPECT_FALSE(generation->published);
    }
    EXPECT_EQ(this->ledger().unpublished(run).size(), 2u);
    EXPECT_EQ(this->decide(run, claim, "2"), Decision::fenced);
    EXPECT_EQ(this->ledger().generation(claim.outputs[0].id)->seq, 1);
}

TYPED_TEST(StoreContract, whoDoesNotOwnTheRunIsFenced) {
    const auto run = this->trigger();
    const auto zombie = this->claim(run);
    this->s.die(this->worker);
    ASSERT_EQ(this->ledger().reap().size(), 1u);
    EXPECT_EQ(this->decide(run, zombie, "1"), Decision::fenced);
    this->worker = this->s.worker();
    const auto heir = this->claim(run);
    ASSERT_EQ(heir.outcome, ClaimOutcome::claimed);
    EXPECT_NE(heir.attempt_id, zombie.attempt_id);
    EXPECT_EQ(this->decide(run, zombie, "1"), Decision::fenced);
    EXPECT_EQ(this->ledger().verdict(run, zombie.attempt_id), Verdict::fenced);
    EXPECT_EQ(this->decide(run, heir, "2"), Decision::committed);
    EXPECT_EQ(this->end(run, zombie.attempt_id, ErrorKind::transient, "run.fenced").state, "committed");
    this->ledger().release(run, zombie.attempt_id);
    EXPECT_EQ(this->s.state(run), "committed");
}

TYPED_TEST(StoreContract, theVerdictTellsWhatBecameOfADecision) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    EXPECT_EQ(this->ledger().verdict(run, claim.attempt_id), Verdict::undecided);
    EXPECT_EQ(this->ledger().verdict(run, contract::nobody), Verdict::fenced);
    this->decide(run, claim, "1");
    EXPECT_EQ(this->ledger().verdict(run, claim.attempt_id), Verdict::committed);
}

TYPED_TEST(StoreContract, aCancelledRunIsNotDecided) {
    const auto waiting = this->trigger();
    this->s.cancel(waiting);
    EXPECT_EQ(this->s.state(waiting), "cancelled");
    EXPECT_EQ(this->claim(waiting).outcome, ClaimOutcome::finished);
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    this->s.cancel(run);
    EXPECT_EQ(this->s.state(run), "running");
    EXPECT_EQ(this->decide(run, claim, "1"), Decision::cancelled);
    EXPECT_EQ(this->end(run, claim.attempt_id, ErrorKind::transient, "net.timeout").state, "cancelled");
}

// A standby that does not know of the request may have taken Postgres' place since.
TYPED_TEST(StoreContract, whoeverStoppedForACancelEndsCancelled) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    EXPECT_EQ(this->end(run, claim.attempt_id, ErrorKind::cancelled, "run.cancelled").state, "cancelled");
}

TYPED_TEST(StoreContract, transientErrorsAreTriedAgainUntilTheTriesAreUsedUp) {
    const auto run = this->trigger();
    for (int tries = 1; tries <= 3; ++tries) {
        const auto claim = this->claim(run);
        ASSERT_EQ(claim.outcome, ClaimOutcome::claimed);
        EXPECT_EQ(claim.tries, tries);
        const auto ending = this->end(run, claim.attempt_id, ErrorKind::transient, "net.timeout");
        EXPECT_EQ(ending.state, tries < 3 ? "queued" : "failed");
        if (tries < 3) {
            EXPECT_GE(ending.wait, milliseconds(500));
            EXPECT_EQ(this->claim(run).outcome, ClaimOutcome::busy) << "not before its time";
        }
        this->s.pass(10'000);
    }
    EXPECT_EQ(this->claim(run).outcome, ClaimOutcome::finished);
}

TYPED_TEST(StoreContract, aPermanentErrorEndsTheRunAtOnce) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    EXPECT_EQ(this->end(run, claim.attempt_id, ErrorKind::permanent, "source.incomplete").state, "failed");
    const auto other = this->trigger();
    this->ledger().fail_unclaimed(other, Error(ErrorKind::invalid, "pipeline.invalid", "it does not parse"));
    EXPECT_EQ(this->s.state(other), "failed");
}

TYPED_TEST(StoreContract, whatIsHandedBackCostsNoTry) {
    const auto run = this->trigger();
    this->ledger().release(run, this->claim(run).attempt_id);
    EXPECT_EQ(this->s.state(run), "queued");
    const auto again = this->claim(run);
    EXPECT_EQ(again.attempt, 2);
    EXPECT_EQ(again.tries, 1);
}

TYPED_TEST(StoreContract, aRunSucceedsWhenItsLastOutputIsOut) {
    const auto run = this->trigger();
    const auto claim = this->claim(run, two_outputs);
    this->decide(run, claim, "1");
    this->ledger().acknowledge(claim.outputs[0].id, 7, run);
    EXPECT_EQ(this->ledger().unpublished(run).size(), 2u) << "another generation's";
    this->ledger().acknowledge(claim.outputs[0].id, 1, run);
    EXPECT_EQ(this->ledger().unpublished(run), std::vector<std::int64_t>{claim.outputs[1].id});
    EXPECT_EQ(this->s.state(run), "committed");
    this->ledger().acknowledge(claim.outputs[1].id, 1, run);
    EXPECT_EQ(this->s.state(run), "succeeded");
    EXPECT_FALSE(this->ledger().abandon(run));
}

TYPED_TEST(StoreContract, aDecidedRunWithoutItsRowsIsGivenUp) {
    this->decided("1");
    EXPECT_TRUE(this->ledger().abandon(this->run_id));
    EXPECT_EQ(this->s.state(this->run_id), "superseded");
}

TYPED_TEST(StoreContract, theReaperTakesExpiredLeasesAndDeadWorkers) {
    const auto run = this->trigger();
    this->claim(run);
    EXPECT_TRUE(this->ledger().reap().empty()) << "it lives, and its lease is good";
    this->s.pass(20'000);
    auto reaped = this->ledger().reap();
    ASSERT_EQ(reaped.size(), 1u);
    EXPECT_EQ(reaped[0].run_id, run);
    EXPECT_EQ(reaped[0].state, "queued");
    const auto again = this->claim(run);
    EXPECT_EQ(again.tries, 1) << "a death is no try";
    this->s.die(this->worker);
    EXPECT_EQ(this->ledger().reap().size(), 1u);
    this->worker = this->s.worker();
    this->claim(run);
    EXPECT_FALSE(this->s.paused("p"));
    this->s.die(this->worker);
    reaped = this->ledger().reap();
    ASSERT_EQ(reaped.size(), 1u);
    EXPECT_EQ(reaped[0].state, "quarantined");
    EXPECT_TRUE(this->s.paused("p"));
    EXPECT_THROW(this->trigger(), Error);
    EXPECT_NO_THROW(this->trigger("republish"));
}

TYPED_TEST(StoreContract, theOutboxIsSentOnceUnderTheRunsJobId) {
    const auto run = this->trigger();
    const auto first = this->s.job_id(run);
    EXPECT_EQ(this->s.queue().state(first), "unknown");
    EXPECT_EQ(this->ledger().send_outbox(this->s.queue()), 1u);
    EXPECT_EQ(this->s.queue().state(first), "waiting");
    EXPECT_EQ(this->ledger().send_outbox(this->s.queue()), 0u);
    this->s.pass(10'000);
    auto queued = this->ledger().queued_for(milliseconds(5'000));
    ASSERT_EQ(queued.size(), 1u);
    EXPECT_EQ(queued[0].job_id, first);
    this->s.empty_queue();
    EXPECT_EQ(this->s.queue().state(first), "unknown");
    this->ledger().send_again(queued[0]);
    this->ledger().send_again(queued[0]);  // somebody else was faster
    EXPECT_TRUE(this->ledger().queued_for(milliseconds(5'000)).empty()) << "it lies in the outbox";
    EXPECT_EQ(this->ledger().send_outbox(this->s.queue()), 1u);
    const auto second = this->s.job_id(run);
    EXPECT_NE(second, first);
    EXPECT_EQ(this->s.queue().state(second), "waiting");
}

TYPED_TEST(StoreContract, aChunkIsAddedOnceAndOnlyByTheOwnerOfRunAndOutputs) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    EXPECT_TRUE(claim.chunks.empty());
    const auto first = this->chunk(claim, 1, "10");
    EXPECT_FALSE(this->ledger().add_chunk(run, contract::nobody, first));
    EXPECT_FALSE(this->ledger().add_chunk(run, claim.attempt_id, this->chunk(claim, 2, "20"))) << "not the next one";
    EXPECT_TRUE(this->ledger().add_chunk(run, claim.attempt_id, first));
    EXPECT_TRUE(this->ledger().add_chunk(run, claim.attempt_id, first)) << "the answer may have been lost";
    this->ledger().release(run, claim.attempt_id);
    EXPECT_FALSE(this->ledger().add_chunk(run, claim.attempt_id, this->chunk(claim, 2, "20"))) << "handed back";
    const auto heir = this->claim(run);
    EXPECT_FALSE(this->ledger().add_chunk(run, claim.attempt_id, this->chunk(claim, 2, "20"))) << "a zombie";
    ASSERT_EQ(heir.chunks.size(), 1u);
    EXPECT_EQ(heir.chunks[0].number, 1);
    EXPECT_EQ(heir.chunks[0].through, "10");
    EXPECT_EQ(heir.chunks[0].to, "100");
    EXPECT_EQ(heir.chunks[0].counters.rows_read, 10u);
    ASSERT_EQ(heir.chunks[0].parts.size(), 1u);
    EXPECT_EQ(heir.chunks[0].parts[0].output_id, claim.outputs[0].id);
    EXPECT_EQ(heir.chunks[0].parts[0].rows.table, first.parts[0].rows.table);
    EXPECT_FALSE(this->ledger().add_chunk(run, heir.attempt_id, first)) << "the first is there, by another attempt";
    EXPECT_TRUE(this->ledger().add_chunk(run, heir.attempt_id, this->chunk(heir, 2, "20")));
}

TYPED_TEST(StoreContract, chunksWhoseRowsAreGoneAreForgotten) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    const auto chunk = this->chunk(claim, 1, "10");
    ASSERT_TRUE(this->ledger().add_chunk(run, claim.attempt_id, chunk));
    this->s.lose(chunk.parts[0].rows);
    this->ledger().release(run, claim.attempt_id);
    const auto again = this->claim(run);
    EXPECT_TRUE(again.chunks.empty());
    ASSERT_TRUE(this->ledger().add_chunk(run, again.attempt_id, this->chunk(again, 1, "10")));
    EXPECT_EQ(this->end(run, again.attempt_id, ErrorKind::transient, "run.chunks").state, "queued");
    this->s.pass(60'000);
    EXPECT_TRUE(this->claim(run).chunks.empty()) << "they did not fit";
}

// What another run has decided since then is newer than what they hold.
TYPED_TEST(StoreContract, aDecisionEndsTheChunksOfAllRunsOfThePipeline) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    ASSERT_TRUE(this->ledger().add_chunk(run, claim.attempt_id, this->chunk(claim, 1, "10")));
    this->ledger().release(run, claim.attempt_id);
    const auto other = this->trigger();
    const auto others = this->claim(other);
    EXPECT_TRUE(others.chunks.empty());
    ASSERT_TRUE(this->ledger().add_chunk(other, others.attempt_id, this->chunk(others, 1, "10")));
    this->decide(other, others, "1");
    this->ledger().acknowledge(others.outputs[0].id, 1, other);
    EXPECT_TRUE(this->claim(run).chunks.empty());
}

TYPED_TEST(StoreContract, F52_aRunOfARemovedPipelineIsNotDecided) {
    const auto run = this->trigger();
    const auto claim = this->claim(run);
    this->s.remove("p");
    EXPECT_EQ(this->decide(run, claim, "1"), run::Decision::cancelled);
    EXPECT_EQ(this->end(run, claim.attempt_id, ErrorKind::cancelled, "run.cancelled").state, "cancelled");
    EXPECT_EQ(this->s.state(run), "cancelled");
}

TYPED_TEST(StoreContract, aDelayedJobCanBeMadeDue) {
    auto& queue = this->s.queue();
    queue.add({.id = "later", .pipeline = "p", .data = "{}", .delay = milliseconds(3'600'000)});
    EXPECT_EQ(queue.state("later"), "delayed");
    queue.promote("later");
    EXPECT_EQ(queue.state("later"), "waiting");
    queue.promote("later");
    EXPECT_EQ(queue.state("later"), "waiting");
    EXPECT_NO_THROW(queue.promote("nobody"));
    EXPECT_EQ(queue.state("nobody"), "unknown");
}

TYPED_TEST(StoreContract, aRunThatIsOverNeedsNoJob) {
    const auto run = this->trigger();
    this->s.cancel(run);
    EXPECT_EQ(this->ledger().send_outbox(this->s.queue()), 0u);
    EXPECT_EQ(this->s.queue().state(this->s.job_id(run)), "unknown");
}

TYPED_TEST(StoreContract, aJobOfAForeignProducerBecomesOneRun) {
    const run::Delivery delivery{
        .queue = "etl", .job_id = "17", .job_timestamp = 1'700'000'000'000, .run_id = "", .pipeline = "p"};
    const auto first = this->ledger().read_head(delivery);
    const auto second = this->ledger().read_head(delivery);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->run_id, second->run_id);
    EXPECT_EQ(this->claim(first->run_id).outcome, ClaimOutcome::claimed);
    auto unknown = delivery;
    unknown.pipeline = "nothing";
    unknown.job_id = "18";
    EXPECT_FALSE(this->ledger().read_head(unknown));
}

TYPED_TEST(StoreContract, theQueueTakesAJobOnceAndKnowsDelays) {
    auto& queue = this->s.queue();
    queue.add({.id = "job-a", .pipeline = "p", .data = "{}"});
    queue.add({.id = "job-a", .pipeline = "p", .data = "{}", .delay = milliseconds(60'000)});
    EXPECT_EQ(queue.state("job-a"), "waiting");
    queue.add({.id = "job-b", .pipeline = "p", .data = "{}", .delay = milliseconds(60'000)});
    EXPECT_EQ(queue.state("job-b"), "delayed");
}

TYPED_TEST(StoreContract, overdueIsWhatItsOwnWorkerHadTimeToDo) {
    const auto claim = this->decided("1");
    EXPECT_TRUE(this->ledger().overdue_outputs().empty());
    this->s.pass(3'000);
    EXPECT_EQ(this->ledger().overdue_outputs(), std::vector<std::int64_t>{claim.outputs[0].id});
    EXPECT_TRUE(this->ledger().overdue_runs().empty()) << "it waits for its output";
}

TYPED_TEST(StoreContract, publishingAppliesAGenerationOnceAndOnlyForwards) {
    const auto claim = this->decided("1");
    const auto& output = claim.outputs[0];
    const auto first = this->ledger().generation(output.id).value();
    EXPECT_EQ(this->s.live(output), "");
    EXPECT_EQ(this->apply(first), run::Applied::applied);
    EXPECT_EQ(this->s.live(output), "1");
    EXPECT_EQ(this->apply(first), run::Applied::already);
    this->ledger().acknowledge(output.id, 1, this->run_id);
    this->published("2");
    EXPECT_EQ(this->s.live(output), "2");
    EXPECT_EQ(this->apply(first), run::Applied::already);
    EXPECT_EQ(this->apply(first, true), run::Applied::already) << "an older one not even by force";
    EXPECT_EQ(this->s.live(output), "2");
}

TYPED_TEST(StoreContract, publishingWithoutStagedRowsChangesNothing) {
    const auto claim = this->decided("1");
    this->s.empty_outputs();
    const auto generation = this->ledger().generation(claim.outputs[0].id).value();
    EXPECT_EQ(this->apply(generation), run::Applied::no_stage);
    EXPECT_EQ(this->s.live(claim.outputs[0]), "");
    EXPECT_FALSE(generation.has_payload);
    EXPECT_FALSE(this->ledger().payload(generation));
}

TYPED_TEST(StoreContract, theCopyInPostgresMakesTheRowsAgain) {
    const auto claim = this->published("1", true);
    const auto& output = claim.outputs[0];
    this->s.empty_outputs();
    const auto generation = this->ledger().generation(output.id).value();
    ASSERT_TRUE(generation.has_payload);
    const auto payload = this->ledger().payload(generation);
    ASSERT_TRUE(payload);
    auto other = generation;
    other.run_id = contract::nobody;
    EXPECT_FALSE(this->ledger().payload(other)) << "after a failover a number may belong to another run";
    const auto staging = this->s.outputs().rebuild(generation, *payload);
    EXPECT_EQ(this->s.outputs().apply(generation, staging, false), run::Applied::applied);
    EXPECT_EQ(this->s.live(output), "1");
}

TYPED_TEST(StoreContract, aLookTellsWhatIsLost) {
    const auto claim = this->decided("1", true);
    const auto& output = claim.outputs[0];
    const auto look = [&] { return this->s.outputs().look_at(this->ledger().generations()).at(0); };
    EXPECT_EQ(look().seq, -1);
    EXPECT_FALSE(look().whole);
    const auto generation = this->ledger().generation(output.id).value();
    this->apply(generation);
    EXPECT_EQ(look().epoch, 1);
    EXPECT_EQ(look().seq, 1);
    EXPECT_TRUE(look().whole);
    this->s.drop_live(output);
    EXPECT_EQ(look().seq, 1);
    EXPECT_FALSE(look().whole);
    const auto payload = this->ledger().payload(generation).value();
    const auto staging = this->s.outputs().rebuild(generation, payload);
    EXPECT_EQ(this->s.outputs().apply(generation, staging, false), run::Applied::already);
    EXPECT_EQ(this->s.outputs().apply(generation, staging, true), run::Applied::applied);
    EXPECT_TRUE(look().whole);
    this->s.empty_outputs();
    EXPECT_EQ(look().epoch, -1);
}

TYPED_TEST(StoreContract, anotherPostgresRaisesTheEpochOnce) {
    const auto claim = this->published("1", true);
    EXPECT_FALSE(this->ledger().check_epoch());
    this->s.replace_postgres();
    EXPECT_TRUE(this->ledger().check_epoch());
    EXPECT_FALSE(this->ledger().check_epoch());
    const auto generation = this->ledger().generation(claim.outputs[0].id).value();
    EXPECT_EQ(generation.epoch, 2);
    EXPECT_EQ(generation.seq, 1);
    const auto staging = this->s.outputs().rebuild(generation, this->ledger().payload(generation).value());
    EXPECT_EQ(this->s.outputs().apply(generation, staging, false), run::Applied::applied);
}

}  // namespace
}  // namespace headrace
