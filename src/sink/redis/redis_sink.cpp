#include "sink/redis/redis_sink.hpp"

#include "base/error.hpp"
#include "base/killpoint.hpp"
#include "redis/connection.hpp"
#include "sink/redis/layout.hpp"

#include <fmt/core.h>

#include <atomic>
#include <cstring>

namespace headrace::sink::redis_sink {
namespace {

using pipeline::Definition;
using pipeline::Manifest;
using pipeline::Part;

// Staging dies by itself when nobody decides; renewed while rows still come.
constexpr std::string_view staging_ttl_ms = "3600000";

std::string key_of(const Definition& definition, const Part& part) {
    return part.options.get("key", "cache:" + definition.name);
}

LayoutOptions layout_options(const Part& part) {
    return {
        .as = part.options.get("as", "json"),
        .field = part.options.get("field"),
        .member = part.options.get("member"),
        .score = part.options.get("score"),
        .chunk_rows = static_cast<std::uint64_t>(part.options.get_int("chunk_rows", 1000))};
}

class RedisSink : public pipeline::Sink {
public:
    RedisSink(redis::Options options, LayoutOptions layout, std::string key, std::int64_t ttl_ms)
        : options_(std::move(options)), layout_options_(std::move(layout)), key_(std::move(key)), ttl_ms_(ttl_ms) {}

    void open(const pipeline::SinkContext& context, const data::Schema& schema) override {
        context_ = context;
        schema_hash_ = schema.hash();
        staging_ = fmt::format("{{o:{}}}:s:{}:0", context.output_id, context.attempt_id);
        layout_ = make_layout(layout_options_, schema);
        connection_.emplace(redis::Connection::connect(options_, context.stop));
        pipe_.emplace(*connection_, redis::Pipeline::Window{.bytes = 1 << 20, .commands = 64});
        pipe_->on_reply([this](const redis::Reply& reply) { count_added(reply); });
    }

    void stage(const data::Batch& batch) override {
        mortal([&] { layout_->write(*pipe_, staging_, batch); });
        rows_ += batch.rows();
        bytes_ = layout_->bytes();
        HEADRACE_POINT("K6");
    }

    Manifest seal() override {
        mortal([&] { layout_->finish(*pipe_, staging_); });
        pipe_->drain();
        bytes_ = layout_->bytes();
        HEADRACE_POINT("K7");
        verify();
        Manifest manifest;
        manifest.keys.push_back({key_, layout_->empty() ? "" : staging_});
        manifest.rows = rows_;
        manifest.bytes = bytes_;
        manifest.schema_hash = schema_hash_;
        manifest.ttl_ms = ttl_ms_;
        manifest.meta_key = key_ + ":meta";
        if (!layout_->empty() && bytes_ <= payload_limit) {
            auto copy = connection_->command({"DUMP", staging_});
            if (copy.is_nil()) {
                throw lost("is gone");
            }
            manifest.payload = copy.take_str();
        }
        HEADRACE_POINT("K8");
        return manifest;
    }

    void discard() noexcept override {
        // The connection may be in the middle of anything: a fresh one, briefly; the TTL takes what this misses.
        try {
            auto options = options_;
            options.connect_timeout = std::chrono::milliseconds(1000);
            options.reply_timeout = std::chrono::milliseconds(1000);
            pipe_.reset();
            connection_.reset();
            HEADRACE_POINT("K18");
            if (!staging_.empty()) {
                redis::Connection::connect(options, StopToken()).command({"UNLINK", staging_});
            }
        } catch (const std::exception&) {
            return;
        }
    }

    std::uint64_t bytes_staged() const override { return bytes_; }

private:
    // The key and its TTL in one step: a worker that dies in between must not leave what lives for ever.
    template <class Write>
    void mortal(Write&& write) {
        pipe_->add({"MULTI"});
        write();
        pipe_->add({"PEXPIRE", staging_, staging_ttl_ms});
        pipe_->add({"EXEC"});
    }

    // Replies of EXEC: elements that a hash or set did not have before, and the TTL's. Their sum is what it must hold.
    void count_added(const redis::Reply& reply) {
        if (reply.is_array() && !layout_->expected_count()) {
            for (std::size_t i = 0; i + 1 < reply.elements().size(); ++i) {
                added_ += static_cast<std::uint64_t>(reply.at(i).integer());
            }
        }
    }

    static Error lost(const std::string& what) {
        return {ErrorKind::transient, "redis.command", "the staging key " + what + ": was Redis emptied meanwhile?"};
    }

    // What Redis holds must be what was sent.
    void verify() {
        if (layout_->empty()) {
            return;
        }
        const auto held =
            static_cast<std::uint64_t>(connection_->command({layout_->count_command(), staging_}).integer());
        if (const auto expected = layout_->expected_count().value_or(added_); held != expected) {
            throw lost(fmt::format("holds {} instead of {} ({})", held, expected, layout_->count_command()));
        }
        if (!layout_->expected_count() && held < rows_) {
            context_.log(
                "warn", fmt::format("{} of {} rows share a key: the last one of each is kept", rows_ - held, rows_)
            );
        }
    }

    redis::Options options_;
    LayoutOptions layout_options_;
    std::string key_;
    std::int64_t ttl_ms_;
    pipeline::SinkContext context_;
    std::string schema_hash_;
    std::string staging_;
    std::unique_ptr<Layout> layout_;
    std::optional<redis::Connection> connection_;
    std::optional<redis::Pipeline> pipe_;
    std::uint64_t rows_ = 0;
    std::uint64_t added_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
};

std::unique_ptr<pipeline::Sink> make(
    const redis::Options& cache,
    const Definition& definition,
    const Part& part,
    const pipeline::Credential* credential
) {
    if (credential != nullptr) {
        throw Error(
            ErrorKind::invalid, "pipeline.invalid", "a redis sink writes to the installation's cache (CACHE_REDIS_URL)"
        )
            .with_hint("Take `credential:` out of the sink.");
    }
    return std::make_unique<RedisSink>(
        cache, layout_options(part), key_of(definition, part), part.options.get_int("ttl", 0)
    );
}

}  // namespace

pipeline::SinkType type(redis::Options cache) {
    using pipeline::OptionKind;
    return {
        .name = "redis",
        .help = "Publishes the result under one Redis key, swapped whole.",
        .options =
            {{.name = "as",
              .kind = OptionKind::choice,
              .default_value = "json",
              .help = "How the rows lie in Redis.",
              .choices = {"json", "list", "hash", "set", "zset"}},
             {.name = "key", .help = "The key that readers use; default cache:<pipeline>."},
             {.name = "field",
              .help = "as: hash. The column whose value is the hash field.",
              .needed_for = {"as", {"hash"}}},
             {.name = "member",
              .help = "as: set and zset. The column whose values are the members.",
              .needed_for = {"as", {"set", "zset"}}},
             {.name = "score", .help = "as: zset. The column with the score.", .needed_for = {"as", {"zset"}}},
             {.name = "chunk_rows",
              .kind = OptionKind::integer,
              .default_value = "1000",
              .help = "as: list. Rows per list element."},
             {.name = "ttl",
              .kind = OptionKind::duration,
              .help = "The output disappears when it was not renewed for so long."}},
        .needs_credential = false,
        .make = [cache = std::move(cache)](
                    const Definition& definition, const Part& part, const pipeline::Credential* credential
                ) { return make(cache, definition, part, credential); },
        .output_name = [](const Definition& definition,
                          const Part& part) { return "redis:" + key_of(definition, part); },
    };
}

}  // namespace headrace::sink::redis_sink
