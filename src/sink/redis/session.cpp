#include "sink/redis/session.hpp"

#include "base/error.hpp"
#include "base/units.hpp"

#include <fmt/core.h>

#include <charconv>

namespace headrace::sink::redis_sink {
namespace {

constexpr std::uint64_t look_every = 64'000'000;

std::uint64_t number_in(std::string_view info, std::string_view field) {
    const auto text = redis::info_field(info, field);
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

Session::Session(
    const redis::Options& options,
    const pipeline::SinkContext& context,
    std::string_view live,
    std::string_view tag,
    redis::Pipeline::Window window
)
    : space_(context.output_id, live),
      expected_(context.previous_bytes),
      connection_(redis::Connection::connect(options, context.stop)),
      pipe_(connection_, window) {
    refuse_cross_slot(live, tag);
    look(0);
}

void Session::refuse_cross_slot(std::string_view live, std::string_view tag) {
    const auto info = connection_.command({"INFO", "cluster"}).text();
    if (redis::info_field(info, "cluster_enabled") != "1" || !tag.empty()) {
        return;
    }
    throw Error(
        ErrorKind::permanent,
        "redis.cross_slot",
        fmt::format("the cache is a Redis Cluster, and {} has no hash tag that its staging could share", live)
    );
}

void Session::look(std::uint64_t staged) {
    if (pipe_.errors() > 0) {
        pipe_.drain();
    }
    if (staged >= next_look_) {
        pipe_.drain();
        check_room(staged);
        next_look_ = staged + look_every;
    }
}

// A server that evicts makes room by itself; it is full all the time.
void Session::check_room(std::uint64_t staged) {
    const auto info = connection_.command({"INFO", "memory"}).text();
    const auto most = number_in(info, "maxmemory");
    if (most == 0 || redis::info_field(info, "maxmemory_policy") != "noeviction") {
        return;
    }
    const auto used = number_in(info, "used_memory");
    const auto missing = expected_ > staged ? expected_ - staged : 0;
    if (used + missing <= most / 10 * 9) {
        return;
    }
    throw Error(
        ErrorKind::transient,
        "redis.no_room",
        fmt::format(
            "Redis uses {} of {} (maxmemory), {} of this output are staged, about {} are still to come, as the last "
            "time: that would pass 90 %",
            format_bytes(used),
            format_bytes(most),
            format_bytes(staged),
            format_bytes(missing)
        )
    );
}

redis::Reply Session::eval(const redis::Script& script, redis::Connection::Args args) {
    pipe_.drain();
    return redis::eval(connection_, script, args);
}

redis::Connection connect_briefly(redis::Options options) {
    options.connect_timeout = std::chrono::milliseconds(1000);
    options.reply_timeout = std::chrono::milliseconds(1000);
    return redis::Connection::connect(options, StopToken());
}

}  // namespace headrace::sink::redis_sink
