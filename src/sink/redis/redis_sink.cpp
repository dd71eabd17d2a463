#include "sink/redis/redis_sink.hpp"

#include "base/error.hpp"
#include "base/killpoint.hpp"
#include "sink/redis/keys_sink.hpp"
#include "sink/redis/layout.hpp"
#include "sink/redis/session.hpp"

#include <fmt/core.h>

#include <atomic>
#include <optional>

namespace headrace::sink::redis_sink {
namespace {

using pipeline::Definition;
using pipeline::Manifest;
using pipeline::Part;

constexpr std::string_view keep_by_default = "1h";
constexpr std::int64_t keep_by_default_ms = 3'600'000;

bool is_keys(const Part& part) {
    return part.options.get("as", "json") == "keys";
}

// The live key; of `as: keys` the pattern of the row keys.
std::string key_of(const Definition& definition, const Part& part) {
    return is_keys(part) ? KeyTemplate::parse(part.options.get("key")).pattern()
                         : part.options.get("key", "cache:" + definition.name);
}

LayoutOptions layout_options(const Part& part) {
    return {
        .as = part.options.get("as", "json"),
        .field = part.options.get("field"),
        .member = part.options.get("member"),
        .score = part.options.get("score"),
        .chunk_rows = static_cast<std::uint64_t>(part.options.get_int("chunk_rows", 1000))};
}

struct Lifetimes {
    std::int64_t ttl_ms = 0;
    std::int64_t keep_ms = 0;
};

// One staged key that is renamed to the live one.
class RedisSink : public pipeline::Sink {
public:
    RedisSink(redis::Options options, LayoutOptions layout, std::string key, Lifetimes lifetimes)
        : options_(std::move(options)),
          layout_options_(std::move(layout)),
          key_(std::move(key)),
          lifetimes_(lifetimes) {}

    void open(const pipeline::SinkContext& context, const data::Schema& schema) override {
        context_ = context;
        options_ = redis::at_key(std::move(options_), pipeline::RedisSpace(context.output_id, key_).marker());
        schema_hash_ = schema.hash();
        layout_ = make_layout(layout_options_, schema);
        session_.emplace(
            options_, context, key_, pipeline::hash_tag(key_), redis::Pipeline::Window{.bytes = 1 << 20, .commands = 64}
        );
        session_->pipe().on_reply([this](const redis::ReplyPart& reply) { count_added(reply); });
        staging_.emplace(session_->pipe(), session_->space().staging(context.attempt_id));
    }

    void stage(const data::Batch& batch) override {
        layout_->write(*staging_, batch);
        rows_ += batch.rows();
        bytes_ = layout_->bytes();
        session_->look(bytes_);
        HEADRACE_POINT("K6");
    }

    Manifest seal() override {
        layout_->finish(*staging_);
        session_->pipe().drain();
        bytes_ = layout_->bytes();
        HEADRACE_POINT("K7");
        verify();
        Manifest manifest;
        manifest.keys.push_back({key_, layout_->empty() ? "" : staging_->name()});
        manifest.rows = rows_;
        manifest.bytes = bytes_;
        manifest.schema_hash = schema_hash_;
        manifest.ttl_ms = lifetimes_.ttl_ms;
        manifest.keep_ms = lifetimes_.keep_ms;
        manifest.meta_key = key_ + ":meta";
        if (!layout_->empty() && bytes_ <= payload_limit) {
            auto copy = session_->connection().command({"DUMP", staging_->name()});
            if (copy.is_nil()) {
                throw lost("is gone");
            }
            manifest.payload = copy.text();
        }
        HEADRACE_POINT("K8");
        return manifest;
    }

    void discard() noexcept override {
        // The TTL takes what this misses.
        try {
            session_.reset();
            HEADRACE_POINT("K18");
            if (staging_) {
                connect_briefly(options_).command({"UNLINK", staging_->name()});
            }
        } catch (const std::exception&) {
            return;
        }
    }

    std::uint64_t bytes_staged() const override { return bytes_; }

private:
    // Elements that a hash or set did not have before. Their sum is what it must hold.
    void count_added(const redis::ReplyPart& reply) {
        if (reply.is_array() && !layout_->expected_count()) {
            added_ += static_cast<std::uint64_t>(reply.at(0).integer());
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
        const auto held = static_cast<std::uint64_t>(
            session_->connection().command({layout_->count_command(), staging_->name()}).integer()
        );
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
    Lifetimes lifetimes_;
    pipeline::SinkContext context_;
    std::string schema_hash_;
    std::unique_ptr<Layout> layout_;
    std::optional<Session> session_;
    std::optional<StagingKey> staging_;
    std::uint64_t rows_ = 0;
    std::uint64_t added_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
};

Error bad_options(std::string message) {
    return {ErrorKind::invalid, "pipeline.invalid", std::move(message)};
}

// Options that do not go together: at `headrace check`, not at the first run.
void check_options(const Part& part) {
    const auto as = part.options.get("as", "json");
    const auto only = [&](std::string_view option, bool fits, std::string_view where) {
        if (!fits && part.options.has(option)) {
            throw bad_options(fmt::format("`{}` belongs to {}", option, where));
        }
    };
    const bool merge = part.options.get("mode", "replace") == "merge";
    const auto layout = part.options.get("layout", "auto");
    if (as != "keys" && (merge || layout != "auto")) {
        throw bad_options("`mode` and `layout` belong to `as: keys`");
    }
    if (merge && layout != "auto") {
        throw bad_options("`mode: merge` has no `layout`: its rows always lie under their own keys");
    }
    only("value", as == "keys", "`as: keys`");
    only("sweep_after", merge, "`mode: merge`; `mode: replace` removes stale rows at each run");
}

std::string output_name(const Definition& definition, const Part& part) {
    check_options(part);
    return "redis:" + key_of(definition, part);
}

std::unique_ptr<pipeline::Sink> make(
    const redis::Options& cache,
    const Definition& definition,
    const Part& part,
    const pipeline::Credential* credential
) {
    if (credential != nullptr) {
        throw bad_options("a redis sink writes to the installation's cache (CACHE_REDIS_URL)")
            .with_hint("Take `credential:` out of the sink.");
    }
    check_options(part);
    const Lifetimes lifetimes{
        .ttl_ms = part.options.get_int("ttl", 0), .keep_ms = part.options.get_int("keep_previous", keep_by_default_ms)};
    if (!is_keys(part)) {
        return std::make_unique<RedisSink>(cache, layout_options(part), key_of(definition, part), lifetimes);
    }
    const auto layout = part.options.get("layout", "auto");
    const bool merge = part.options.get("mode", "replace") == "merge";
    return make_keys_sink(
        cache,
        {.key = KeyTemplate::parse(part.options.get("key")),
         .value = part.options.get("value"),
         .layout = layout == "direct"    ? RowLayout::direct
                   : layout == "pointer" ? RowLayout::pointer
                                         : RowLayout::automatic,
         .merge = merge,
         .ttl_ms = lifetimes.ttl_ms,
         .keep_ms = merge ? 0 : lifetimes.keep_ms,
         .sweep_ms = part.options.get_int("sweep_after", 0)}
    );
}

std::vector<pipeline::OptionSpec> option_specs() {
    using pipeline::OptionKind;
    return {
        {.name = "as",
         .kind = OptionKind::choice,
         .default_value = "json",
         .help = "How the rows lie in Redis.",
         .choices = {"json", "list", "hash", "set", "zset", "keys"}},
        {.name = "key",
         .help = "The key that readers use, default cache:<pipeline>; as: keys: one per row, such as user:{user_id}.",
         .needed_for = {"as", {"keys"}}},
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
        {.name = "value", .help = "as: keys. The column with the value; default the JSON of the row."},
        {.name = "mode",
         .kind = OptionKind::choice,
         .default_value = "replace",
         .help = "as: keys. replace: the keys become exactly the result; merge: keys of other rows stay.",
         .choices = {"replace", "merge"}},
        {.name = "layout",
         .kind = OptionKind::choice,
         .default_value = "auto",
         .help = "as: keys. direct: plain keys, at most 1000; pointer: any number, read through a pointer key.",
         .choices = {"auto", "direct", "pointer"}},
        {.name = "sweep_after",
         .kind = OptionKind::duration,
         .help = "mode: merge. Rows that no successful run brought for so long are removed."},
        {.name = "ttl",
         .kind = OptionKind::duration,
         .help = "The output disappears when it was not renewed for so long; mode: merge: each row by itself."},
        {.name = "keep_previous",
         .kind = OptionKind::duration,
         .default_value = keep_by_default,
         .help = "How long the generation before stays for `headrace rollback`; 0s: not at all."}};
}

}  // namespace

pipeline::SinkType type(redis::Options cache) {
    return {
        .name = "redis",
        .help = "Publishes the result in Redis, swapped whole.",
        .options = option_specs(),
        .needs_credential = false,
        .make = [cache = std::move(cache)](
                    const Definition& definition, const Part& part, const pipeline::Credential* credential
                ) { return make(cache, definition, part, credential); },
        .output_name = output_name,
        .takes_rows_again = [](const Part& part
                            ) { return part.options.get("as") == "keys" && part.options.get("mode") == "merge"; },
    };
}

}  // namespace headrace::sink::redis_sink
