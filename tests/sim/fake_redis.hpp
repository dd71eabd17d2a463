// The outputs in memory: staged, live, meta and marker key of each, and the publish script (form key). One per world,
// used by all its processes.
#pragma once

#include "run/stores.hpp"
#include "sim/scene.hpp"

#include <map>
#include <optional>

namespace headrace::sim {

// Who made the rows of a generation: what a reader sees in a live key.
struct Content {
    std::string run_id;
    std::string attempt_id;

    bool operator==(const Content&) const = default;
};

struct Shown {
    std::optional<Content> live;

    struct Meta {
        std::int64_t epoch = 0;
        std::int64_t seq = 0;
        std::string run_id;
    };

    std::optional<Meta> meta;
    std::optional<Meta> marker;
};

class FakeRedis {
public:
    explicit FakeRedis(Scene& scene) : scene_(scene) {}

    std::map<std::int64_t, Shown> shown;    // by output
    std::map<std::string, Content> staged;  // by key
    long changes = 0;                       // of live keys: when to look again

    Scene& scene() { return scene_; }

    // What a sink does.
    void stage(const std::string& key, const Content& content);
    bool sealed(const std::string& key);  // counted again at the far side
    void discard(const std::string& key);

    // Faults.
    void empty();
    void drop_live(std::int64_t output_id);

private:
    Scene& scene_;
};

class FakeOutputs final : public run::OutputStore {
public:
    FakeOutputs(FakeRedis& redis, run::LedgerStore& ledger) : redis_(redis), scene_(redis.scene()), ledger_(ledger) {}

    run::Applied apply(const run::Generation& generation, const std::string& staging, bool force) override;
    std::string rebuild(const run::Generation& generation, const std::string& payload) override;
    std::vector<run::Live> look_at(const std::vector<run::Generation>& generations) override;

    bool sweep_rows(const run::Generation&) override { return false; }

    void retire(const std::vector<run::Retirable>&, Deadline) override {}

private:
    FakeRedis& redis_;
    Scene& scene_;
    run::LedgerStore& ledger_;  // only for the mutant that acknowledges too early
    int rebuilt_ = 0;
};

// Contents as text: what the fake keeps as payload.
std::string payload_of(const Content& content);
Content content_of(std::string_view payload);

}  // namespace headrace::sim
