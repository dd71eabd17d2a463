// F02 F05 F06 F07 F11: workers are killed with SIGKILL at any moment, paused beyond their lease, cut from it and from
// Postgres, robbed of their queue locks; every job is delivered two to five times; the Redis of the outputs is emptied
// now and then. Nothing may be lost, doubled, torn, stuck, or go backwards. With --mutant the workers are a broken twin
// (run/broken_twin.hpp), and the storm must notice.
//   kill_storm --kills 2000 --seconds 180 [--seed N] [--evidence FILE.json]
//   kill_storm --mutant no_fence|no_seq|torn_publish --seconds 120
#include "proof/feeder.hpp"
#include "proof/herd.hpp"
#include "proof/program.hpp"
#include "proof/wait.hpp"
#include "support/paths.hpp"

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <csignal>
#include <cstdlib>

namespace headrace::proof {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int small_pipelines = 9;
constexpr int small_with_tables = 3;
constexpr int calibration_runs = 30;
constexpr milliseconds settle_limit{40'000};
constexpr milliseconds heal_limit{10'000};

struct Options {
    long kills = 2000;
    long seconds = 180;
    std::string seed;
    std::string evidence;
    std::string mutant;
};

class Storm {
public:
    Storm(const Options& options, std::uint64_t seed)
        : options_(options), seed_(seed), random_(seed), db_(installation_.stack().database_url()) {
        for (int i = 0; i < small_pipelines; ++i) {
            installation_.add_pipeline(fmt::format("small{}", i), 40, i < small_with_tables);
        }
        installation_.add_pipeline("large", 1500, true);
        auto env = installation_.environment();
        if (!options.mutant.empty()) {
            env.emplace_back("HEADRACE_MUTANT", options.mutant);
        }
        const char* program = std::getenv("HEADRACE_BINARY");
        herd_.emplace(
            program != nullptr ? program : support::headrace_binary().string(),
            support::servers().fresh_folder(),
            env,
            seed + 1,
            violations_
        );
        queue_.emplace(installation_.stack().redis_url());
        cache_.emplace(installation_.cache_url());
        check_.emplace(db_, *queue_, *cache_, installation_.outputs(), violations_);
    }

    Score run();

private:
    void calibrate();
    void storm();
    void harm();
    void lose_cache();
    void cut_a_lease();
    void cut_a_connection();
    void drop_a_lock();
    void progress(const char* when);
    void settle();
    Score report();
    std::string evidence(double seconds);
    long attempts(const std::string& outcome);

    // True once in a random time between `from` and `to`.
    bool due(Clock::time_point& next, milliseconds from, milliseconds to) {
        if (Clock::now() < next) {
            return false;
        }
        next = Clock::now() + milliseconds(std::uniform_int_distribution<long>(from.count(), to.count())(random_));
        return true;
    }

    Options options_;
    std::uint64_t seed_;
    std::mt19937_64 random_;
    Violations violations_;
    Installation installation_;
    Database db_;
    std::optional<Herd> herd_;
    std::optional<Cache> queue_;
    std::optional<Cache> cache_;
    std::optional<LedgerCheck> check_;
    std::optional<OutputReader> reader_;
    std::optional<TableWatch> tables_;
    std::optional<Feeder> feeder_;
    Herd::Times times_;
    Clock::time_point begin_ = Clock::now();
    Clock::time_point next_size_, next_ambush_, next_loss_, next_cut_, next_link_, next_lock_, next_look_, next_line_;
    std::size_t size_ = 2;
    long losses_ = 0, cuts_ = 0, links_ = 0, locks_ = 0;
    double storm_seconds_ = 0;
    std::string feeder_backend_;  // its connection is not cut
};

// How long a worker needs to start and a run to succeed here and now: lives are measured out accordingly.
void Storm::calibrate() {
    times_.boot = herd_->start_first();
    feeder_backend_ = std::to_string(installation_.stack().db().backend_pid());
    feeder_.emplace(installation_, seed_ + 2, violations_);
    const auto succeeded = "select count(*) from etl_runs where state = 'succeeded'";
    if (!wait_until([&] { return db_.number(succeeded) >= calibration_runs; }, std::chrono::seconds(60))) {
        throw std::runtime_error("the first runs did not succeed");
    }
    times_.run = milliseconds(db_.number(
        "select greatest(5, percentile_cont(0.7) within group (order by extract(epoch from finished_at - started_at) * "
        "1000))::bigint from etl_runs where state = 'succeeded'"
    ));
    herd_->set_times(times_);
    fmt::print("a worker starts in {} ms, a run takes {} ms\n", times_.boot.count(), times_.run.count());
}

Score Storm::run() {
    calibrate();
    reader_.emplace(installation_.cache_url(), installation_.outputs(), violations_);
    tables_.emplace(installation_.stack().database_url(), installation_.tables(), violations_);
    begin_ = Clock::now();
    storm();
    storm_seconds_ = std::chrono::duration<double>(Clock::now() - begin_).count();
    progress("end of the storm");
    if (options_.mutant.empty()) {
        settle();
    }
    feeder_->stop();
    reader_->stop();
    tables_->stop();
    return report();
}

void Storm::storm() {
    const auto end = begin_ + std::chrono::seconds(options_.seconds);
    const auto first = begin_ + milliseconds(2000);
    next_ambush_ = first;
    next_loss_ = Clock::time_point::max();
    while (Clock::now() < end && herd_->kills() < options_.kills) {
        if (due(next_size_, milliseconds(1500), milliseconds(4000))) {
            size_ = std::uniform_int_distribution<std::size_t>(1, 4)(random_);
        }
        herd_->tick(size_);
        harm();
        if (due(next_look_, milliseconds(500), milliseconds(500))) {
            check_->stuck();
            if (!options_.mutant.empty()) {
                check_->commits();
            }
        }
        if (due(next_line_, milliseconds(10'000), milliseconds(10'000))) {
            progress("");
        }
        if (violations_.total() > 0) {
            break;  // what comes after the first one says little
        }
        ::poll(nullptr, 0, 2);
    }
}

void Storm::harm() {
    if (due(next_ambush_, milliseconds(3000), milliseconds(6000))) {
        herd_->ambush();
        next_loss_ = Clock::now() + times_.boot;
    }
    if (Clock::now() >= next_loss_) {
        next_loss_ = Clock::time_point::max();
        lose_cache();
    }
    if (due(next_cut_, milliseconds(500), milliseconds(2000))) {
        cut_a_lease();
    }
    if (due(next_link_, milliseconds(500), milliseconds(2000))) {
        cut_a_connection();
    }
    if (due(next_lock_, milliseconds(300), milliseconds(1500))) {
        drop_a_lock();
    }
}

void Storm::lose_cache() {
    reader_->begin_loss();
    cache_->call({"FLUSHALL"});
    reader_->end_loss();
    ++losses_;
}

// The advisory lock of a living worker goes with its connection: others take it for dead.
void Storm::cut_a_lease() {
    cuts_ +=
        static_cast<long>(db_.rows("select pg_terminate_backend(pid) from (select pid from pg_locks where locktype "
                                   "= 'advisory' and granted and database = (select oid from pg_database where "
                                   "datname = current_database()) order by random() limit 1) one")
                              .size());
}

// Of whatever a worker is doing, COMMIT for example; one at work rather than an idle one.
void Storm::cut_a_connection() {
    links_ += static_cast<long>(db_.rows(
                                       "select pg_terminate_backend(pid) from (select pid from pg_stat_activity where "
                                       "datname = current_database() and application_name <> '' and pid <> $1 order by "
                                       "state = 'idle', random() limit 1) one",
                                       {feeder_backend_}
    )
                                    .size());
}

void Storm::drop_a_lock() {
    const auto page = queue_->call({"SCAN", "0", "MATCH", "bull:etl:*:lock", "COUNT", "10000"});
    const auto& keys = page.parts.at(1).parts;
    if (!keys.empty()) {
        const auto which = std::uniform_int_distribution<std::size_t>(0, keys.size() - 1)(random_);
        locks_ += queue_->call({"DEL", keys[which].text}).number;
    }
}

long Storm::attempts(const std::string& outcome) {
    return db_.number("select count(*) from etl_attempts where outcome = $1", {outcome});
}

void Storm::progress(const char* when) {
    const auto seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    fmt::print(
        "{:6.1f} s: {} kills ({:.1f}/s), {} runs, {} reads, {} violations {}\n",
        seconds,
        herd_->kills(),
        static_cast<double>(herd_->kills()) / std::max(seconds, 0.1),
        feeder_->runs(),
        reader_->reads(),
        violations_.total(),
        when
    );
    std::fflush(stdout);
}

// The storm is over: everything must come to rest by itself.
void Storm::settle() {
    feeder_->stop();
    herd_->calm(2);
    const auto begin = Clock::now();
    const bool settled = wait_until(
        [&] {
            check_->stuck();
            herd_->look();
            return check_->settled() || violations_.total() > 0;
        },
        settle_limit,
        50
    );
    if (!settled) {
        check_->unsettled();
    }
    fmt::print("settled after {} ms\n", std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count());
    // Once more around: a sweep of each of them finds nothing left to publish.
    wait_until([] { return false; }, milliseconds(600));
    herd_->stop();
    reader_->stop();
    tables_->stop();
    check_->finals();
    check_->seen(reader_->seen());
    tables_->finals();
    if (reader_->longest_heal() > heal_limit) {
        violations_.add("stuck", fmt::format("an output came back after {} ms", reader_->longest_heal().count()));
    }
}

std::string Storm::evidence(double seconds) {
    return fmt::format(
        R"({{"suite":"kill_storm","seed":{},"kills":{},"seconds":{:.1f},"workers":{},"failedStarts":{},"pauses":{},"pausesAtPoints":{},)"
        R"("leasesCut":{},"connectionsCut":{},"locksDropped":{},"cacheLosses":{},"longestHealMs":{},"runs":{},"succeeded":{},)"
        R"("quarantined":{},"duplicates":{},"attemptsDied":{},"attemptsFenced":{},"leasesLost":{},"attemptsRetried":{},)"
        R"("decisions":{},"reads":{},"tableReads":{},"bootMs":{},"runMs":{},"mutant":"{}","violations":{}}})",
        seed_,
        herd_->kills(),
        seconds,
        herd_->started(),
        herd_->failed_starts(),
        herd_->pauses(),
        herd_->pauses_at_points(),
        cuts_,
        links_,
        locks_,
        losses_,
        reader_->longest_heal().count(),
        feeder_->runs(),
        db_.number("select count(*) from etl_runs where state = 'succeeded'"),
        db_.number("select count(*) from etl_runs where state = 'quarantined'"),
        feeder_->duplicates(),
        attempts("died"),
        db_.number("select count(*) from etl_logs where message like '%run.fenced%'"),
        db_.number("select count(*) from etl_logs where message like '%run.lease_lost%'"),
        attempts("retried"),
        db_.number("select count(*) from etl_commits"),
        reader_->reads(),
        tables_->reads(),
        times_.boot.count(),
        times_.run.count(),
        options_.mutant,
        json_of(violations_)
    );
}

Score Storm::report() {
    const auto text = evidence(storm_seconds_);
    fmt::print("{}\n", text);
    print(violations_);
    write_file(options_.evidence, text + "\n");
    if (!options_.mutant.empty()) {
        const bool caught = violations_.total() > 0;
        fmt::print("{} was {} after {:.1f} s\n", options_.mutant, caught ? "caught" : "NOT caught", storm_seconds_);
        return {caught ? 1 : 0, caught ? 0 : 1};
    }
    // A storm that hits nothing proves nothing.
    if (herd_->kills() < options_.kills / 2 || attempts("died") < herd_->kills() / 20 || reader_->reads() < 1000 ||
        tables_->reads() < 100) {
        violations_.add("other", "too few kills, or too few of them hit a run: the storm was too weak");
        print(violations_);
    }
    long failed = 0;
    for (const auto& kind : violation_kinds) {
        failed += violations_.count(kind) > 0 ? 1 : 0;
    }
    return {static_cast<long>(violation_kinds.size()) - failed, failed};
}

}  // namespace
}  // namespace headrace::proof

int main(int argc, char** argv) {
    using namespace headrace::proof;
    Options options;
    CLI::App app("Kills workers at random moments and looks whether the commit protocol holds");
    app.add_option("--kills", options.kills, "Kills, at most");
    app.add_option("--seconds", options.seconds, "Time, at most");
    app.add_option("--seed", options.seed, "Repeats the choices of a run");
    app.add_option("--evidence", options.evidence, "Writes the counters to this file");
    app.add_option("--mutant", options.mutant, "Makes the workers a broken twin that must be caught");
    CLI11_PARSE(app, argc, argv);
    ::signal(SIGPIPE, SIG_IGN);
    const auto seed = seed_or_random(options.seed);
    return with_servers(seed, [&] { return Storm(options, seed).run(); });
}
