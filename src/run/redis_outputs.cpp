#include "run/redis_outputs.hpp"

#include "base/ids.hpp"
#include "run/publish_scripts.hpp"

#include <algorithm>
#include <iterator>

namespace headrace::run {

RedisOutputs::RedisOutputs(redis::Options options, StopToken stop)
    : options_(std::move(options)), stop_(std::move(stop)) {}

template <class Body>
auto RedisOutputs::with(const pipeline::RedisSpace& space, Body&& body) {
    const auto key = options_.cluster ? space.marker() : std::string();
    auto known = connections_.find(key);
    if (known == connections_.end() || known->second.is_dead()) {
        known =
            connections_.insert_or_assign(key, redis::Connection::connect(redis::at_key(options_, key), stop_)).first;
    }
    try {
        return body(known->second);
    } catch (...) {
        connections_.erase(key);  // answers that nobody read may be waiting in it; or the slot has moved
        throw;
    }
}

Applied RedisOutputs::apply(const Generation& generation, const std::string& staging, bool force) {
    return with(generation.space(), [&](redis::Connection& cache) {
        return apply_script(cache, generation, staging, force);
    });
}

// The payload is the DUMP of the staged key.
std::string RedisOutputs::rebuild(const Generation& generation, const std::string& payload) {
    return with(generation.space(), [&](redis::Connection& cache) {
        auto key = generation.space().staging("rebuild-" + make_uuid_v4());
        cache.command({"RESTORE", key, "3600000", payload, "REPLACE"});
        return key;
    });
}

std::vector<Live> RedisOutputs::look_at(const std::vector<Generation>& generations) {
    std::vector<Live> found;
    const std::span all(generations);
    const auto step = options_.cluster ? 1 : std::max<std::size_t>(all.size(), 1);
    for (std::size_t i = 0; i < all.size(); i += step) {
        auto some = look_together(all.subspan(i, step));
        std::move(some.begin(), some.end(), std::back_inserter(found));
    }
    return found;
}

std::vector<Live> RedisOutputs::look_together(std::span<const Generation> generations) {
    return with(generations.front().space(), [&](redis::Connection& cache) {
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
                 .run_id = known ? applied.at(2).text() : std::string(),
                 .whole = redis::checked(cache.read_reply()).integer() == 1}
            );
        }
        return found;
    });
}

bool RedisOutputs::sweep_rows(const Generation& generation) {
    return with(generation.space(), [&](redis::Connection& cache) { return sweep_rows_script(cache, generation); });
}

void RedisOutputs::retire(const std::vector<Retirable>& outputs, Deadline until) {
    const std::span all(outputs);
    const auto step = options_.cluster ? 1 : std::max<std::size_t>(all.size(), 1);
    for (std::size_t i = 0; i < all.size(); i += step) {
        retire_together(all.subspan(i, step), until);
    }
}

void RedisOutputs::retire_together(std::span<const Retirable> outputs, Deadline until) {
    with(outputs.front().space, [&](redis::Connection& cache) {
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
