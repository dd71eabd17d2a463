#include "run/redis_outputs.hpp"

#include "base/ids.hpp"
#include "run/publish_scripts.hpp"

namespace headrace::run {

RedisOutputs::RedisOutputs(redis::Options options, StopToken stop)
    : options_(std::move(options)), stop_(std::move(stop)) {}

template <class Body>
auto RedisOutputs::with(Body&& body) {
    if (!cache_ || cache_->is_dead()) {
        cache_.emplace(redis::Connection::connect(options_, stop_));
    }
    try {
        return body(*cache_);
    } catch (...) {
        cache_.reset();  // answers that nobody read may be waiting in it
        throw;
    }
}

Applied RedisOutputs::apply(const Generation& generation, const std::string& staging, bool force) {
    return with([&](redis::Connection& cache) { return apply_script(cache, generation, staging, force); });
}

// The payload is the DUMP of the staged key.
std::string RedisOutputs::rebuild(const Generation& generation, const std::string& payload) {
    return with([&](redis::Connection& cache) {
        auto key = generation.space().staging("rebuild-" + make_uuid_v4());
        cache.command({"RESTORE", key, "3600000", payload, "REPLACE"});
        return key;
    });
}

std::vector<Live> RedisOutputs::look_at(const std::vector<Generation>& generations) {
    return with([&](redis::Connection& cache) {
        for (const auto& one : generations) {
            cache.append({"HMGET", one.space().marker(), "e", "s", "r"});
            append_presence(cache, one);
        }
        std::vector<Live> found;
        for (std::size_t i = 0; i < generations.size(); ++i) {
            const auto applied = redis::checked(cache.read_reply());
            const bool known = !applied.at(0).is_nil() && !applied.at(1).is_nil() && !applied.at(2).is_nil();
            found.push_back(
                {.epoch = known ? applied.at(0).integer() : -1,
                 .seq = known ? applied.at(1).integer() : -1,
                 .run_id = known ? applied.at(2).str() : std::string(),
                 .whole = redis::checked(cache.read_reply()).integer() == 1}
            );
        }
        return found;
    });
}

bool RedisOutputs::sweep_rows(const Generation& generation) {
    return with([&](redis::Connection& cache) { return sweep_rows_script(cache, generation); });
}

void RedisOutputs::retire(const std::vector<Retirable>& outputs, Deadline until) {
    with([&](redis::Connection& cache) {
        for (const auto& one : outputs) {
            cache.append({"EXISTS", one.space.registry()});
        }
        std::vector<bool> busy;
        for (const auto& one : outputs) {
            // The rows of an expired pointer are in no registry yet.
            busy.push_back(redis::checked(cache.read_reply()).integer() == 1 || one.expired);
        }
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            while (busy[i] && !until.passed() && retire_script(cache, outputs[i])) {
            }
        }
    });
}

}  // namespace headrace::run
