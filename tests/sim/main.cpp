// Simulates schedules of the commit protocol over fake stores (docs/commit-protocol.md, "How it is proven").
//   simulate --schedules 200000 --seed 1      seeds 1, 2, 3 …; the first violation of each kind is shown
//   simulate --seed 4711 --trace              one schedule, call by call
//   simulate --mutant no_fence                a broken twin: ends well when it is caught within --schedules
//   simulate --mutants                        all of them
//   simulate --evidence FILE                  writes counts as JSON
#include "base/log.hpp"
#include "sim/schedule.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <array>
#include <chrono>
#include <fstream>
#include <random>

namespace {

using namespace headrace;
using sim::Mutant;

struct Twin {
    std::string_view name;
    Mutant mutant;
    std::string_view kind;  // of the violation by which it must be caught
};

constexpr std::array<Twin, 15> mutants = {
    {{"no_fence", Mutant::no_fence, "double"},
     {"no_seq", Mutant::no_seq, "backwards"},
     {"torn_publish", Mutant::torn_publish, "torn"},
     {"publish_first", Mutant::publish_first, "torn"},
     {"no_verdict", Mutant::no_verdict, "lost"},
     {"blind_verdict", Mutant::blind_verdict, "lost"},
     {"ack_first", Mutant::ack_first, "lost"},
     {"half_ack", Mutant::half_ack, "lost"},
     {"hasty_reaper", Mutant::hasty_reaper, "lost"},
     {"no_epoch", Mutant::no_epoch, "stuck"},
     {"no_resend", Mutant::no_resend, "stuck"},
     {"no_heal", Mutant::no_heal, "stuck"},
     {"zombie_chunk", Mutant::zombie_chunk, "double"},
     {"stale_chunks", Mutant::stale_chunks, "backwards"},
     {"lost_end", Mutant::lost_end, "lost"}}};

struct Options {
    std::uint64_t seed = 0;
    std::uint64_t schedules = 0;
    std::string mutant;
    std::string evidence;
    bool mutants = false;
    bool trace = false;
};

struct Totals {
    std::uint64_t schedules = 0;
    std::map<std::string, long> violations = {{"lost", 0}, {"double", 0}, {"torn", 0}, {"backwards", 0}, {"stuck", 0}};
    long steps = 0;
    long runs = 0;
    long decisions = 0;
    long deaths = 0;
    std::int64_t longest_heal_ms = 0;
    double seconds = 0;

    long violated() const {
        long sum = 0;
        for (const auto& [kind, count] : violations) {
            sum += count;
        }
        return sum;
    }
};

// A broken twin runs until it is caught by a violation of `kind`.
Totals simulate(const Options& options, Mutant mutant, std::string_view kind = {}) {
    const auto start = std::chrono::steady_clock::now();
    sim::Fibers fibers;
    Totals totals;
    for (std::uint64_t i = 0; i < options.schedules; ++i) {
        const auto seed = options.seed + i;
        const auto outcome = sim::Schedule(fibers, seed, mutant, options.trace).run();
        ++totals.schedules;
        totals.steps += outcome.steps;
        totals.runs += outcome.runs;
        totals.decisions += outcome.decisions;
        totals.deaths += outcome.deaths;
        totals.longest_heal_ms = std::max(totals.longest_heal_ms, outcome.healed_ms);
        if (outcome.violation) {
            if (++totals.violations[outcome.violation->kind] <= (kind.empty() ? 3 : 1)) {
                fmt::print("seed {}: {}: {}\n", seed, outcome.violation->kind, outcome.violation->text);
            }
            if (outcome.violation->kind == kind) {
                break;
            }
        }
    }
    totals.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return totals;
}

boost::json::object counts_of(const Options& options, std::string_view mutant, const Totals& totals) {
    boost::json::object violations;
    for (const auto& [kind, count] : totals.violations) {
        violations[kind] = count;
    }
    return {
        {"seed", options.seed},
        {"schedules", totals.schedules},
        {"mutant", mutant},
        {"violations", violations},
        {"steps", totals.steps},
        {"runs", totals.runs},
        {"decisions", totals.decisions},
        {"deaths", totals.deaths},
        {"longestHealMs", totals.longest_heal_ms},
        {"seconds", totals.seconds}};
}

void write_evidence(const Options& options, const boost::json::value& counts) {
    if (!options.evidence.empty()) {
        std::ofstream(options.evidence) << boost::json::serialize(counts) << '\n';
    }
}

bool prove(const Options& options) {
    const auto totals = simulate(options, Mutant::none);
    write_evidence(options, counts_of(options, "", totals));
    fmt::print(
        "{} schedules from seed {} in {:.1f} s: {} steps, {} runs, {} decisions, {} deaths, at rest after at most {} "
        "s\n",
        totals.schedules,
        options.seed,
        totals.seconds,
        totals.steps,
        totals.runs,
        totals.decisions,
        totals.deaths,
        totals.longest_heal_ms / 1'000
    );
    std::string sentence;
    for (const auto& [kind, count] : totals.violations) {
        sentence += fmt::format("{}{} {}", sentence.empty() ? "" : ", ", count, kind);
    }
    fmt::print("{}\n", sentence);
    return totals.violated() == 0;
}

// Each must be caught. How many were, how many were not.
std::pair<int, int> catch_mutants(const Options& options) {
    std::pair<int, int> found;
    boost::json::array counts;
    for (const auto& [name, mutant, kind] : mutants) {
        if (!options.mutants && options.mutant != name) {
            continue;
        }
        const auto totals = simulate(options, mutant, kind);
        const bool caught = totals.violations.at(std::string(kind)) > 0;
        fmt::print(
            "{} was {} ({}) after {} schedules\n", name, caught ? "caught" : "NOT caught", kind, totals.schedules
        );
        ++(caught ? found.first : found.second);
        counts.push_back(counts_of(options, name, totals));
    }
    write_evidence(options, counts);
    return found;
}

int simulate_all(const Options& options) {
    log::set_level(options.trace ? log::Level::debug : log::Level::error);
    std::pair<int, int> found;
    if (options.mutants || !options.mutant.empty()) {
        found = catch_mutants(options);
    } else {
        ++(prove(options) ? found.first : found.second);
    }
    fmt::print("{} passed, {} failed\n", found.first, found.second);
    return found.second == 0 && found.first > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Simulates schedules of the commit protocol");
    app.add_option("--seed", options.seed, "The first seed; random when it is not given");
    app.add_option("--schedules", options.schedules, "How many");
    app.add_option("--mutant", options.mutant, "A broken twin that must be caught");
    app.add_flag("--mutants", options.mutants, "All broken twins");
    app.add_option("--evidence", options.evidence, "File for the counts");
    app.add_flag("--trace", options.trace, "Every call of one schedule");
    CLI11_PARSE(app, argc, argv);
    if (options.seed == 0) {
        options.seed = (std::uint64_t{std::random_device{}()} << 16) + 1;
    }
    const bool twins = options.mutants || !options.mutant.empty();  // the rarest needs 10,000 in the mean
    if (options.schedules == 0) {
        options.schedules = options.trace ? 1 : twins ? 500'000 : 20'000;
    }
    return simulate_all(options);
}
