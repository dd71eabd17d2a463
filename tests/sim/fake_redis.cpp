#include "sim/fake_redis.hpp"

namespace headrace::sim {

std::string payload_of(const Content& content) {
    return content.run_id + "/" + content.attempt_id;
}

Content content_of(std::string_view payload) {
    const auto slash = payload.find('/');
    return {std::string(payload.substr(0, slash)), std::string(payload.substr(slash + 1))};
}

void FakeRedis::stage(const std::string& key, const Content& content) {
    scene_.before("stage", key);
    staged[key] = content;
    scene_.after();
}

bool FakeRedis::sealed(const std::string& key) {
    scene_.before("seal", key);
    const bool there = staged.contains(key);
    scene_.after();
    return there;
}

void FakeRedis::discard(const std::string& key) {
    scene_.before("discard", key);
    staged.erase(key);
    scene_.after();
}

void FakeRedis::empty() {
    shown.clear();
    staged.clear();
    ++changes;
}

void FakeRedis::drop_live(std::int64_t output_id) {
    shown[output_id].live.reset();
    ++changes;
}

run::Applied FakeOutputs::apply(const run::Generation& generation, const std::string& staging, bool force) {
    if (scene_.mutant() == Mutant::ack_first && !generation.published) {
        ledger_.acknowledge(generation.output_id, generation.seq, generation.run_id);
    }
    scene_.before("publish", generation.run_id);
    auto& shown = redis_.shown[generation.output_id];
    if (shown.marker && scene_.mutant() != Mutant::no_seq) {
        const auto& at = *shown.marker;
        const bool older = generation.epoch < at.epoch || (generation.epoch == at.epoch && generation.seq < at.seq);
        const bool same = generation.epoch == at.epoch && generation.seq == at.seq;
        if (older || (same && !force)) {
            scene_.after("already");
            return run::Applied::already;
        }
    }
    const auto from = redis_.staged.find(staging);
    if (from == redis_.staged.end()) {
        scene_.after("no staging");
        return run::Applied::no_stage;
    }
    const auto content = from->second;
    shown.live = content;
    ++redis_.changes;
    if (scene_.mutant() == Mutant::torn_publish) {
        scene_.within("half of the live keys");
    }
    auto& now = redis_.shown[generation.output_id];
    redis_.staged.erase(staging);
    now.live = content;
    now.meta = now.marker = {generation.epoch, generation.seq, generation.run_id};
    ++redis_.changes;
    scene_.after("applied");
    return run::Applied::applied;
}

std::string FakeOutputs::rebuild(const run::Generation& generation, const std::string& payload) {
    auto key =
        "rebuilt-" + generation.run_id + "-" + std::to_string(++rebuilt_) + "-" + std::to_string(generation.output_id);
    scene_.before("rebuild", key);
    redis_.staged[key] = content_of(payload);
    scene_.after();
    return key;
}

std::vector<run::Live> FakeOutputs::look_at(const std::vector<run::Generation>& generations) {
    scene_.before("look_at", {});
    std::vector<run::Live> found;
    for (const auto& one : generations) {
        const auto at = redis_.shown.find(one.output_id);
        run::Live live;
        if (at != redis_.shown.end() && at->second.marker) {
            live.epoch = at->second.marker->epoch;
            live.seq = at->second.marker->seq;
            live.run_id = at->second.marker->run_id;
        }
        live.whole = at != redis_.shown.end() && at->second.live;
        found.push_back(live);
    }
    scene_.after();
    return found;
}

}  // namespace headrace::sim
