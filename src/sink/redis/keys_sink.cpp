#include "sink/redis/keys_sink.hpp"

#include "base/error.hpp"
#include "base/killpoint.hpp"
#include "data/json.hpp"
#include "sink/redis/session.hpp"

#include <fmt/core.h>

#include <atomic>
#include <optional>

namespace headrace::sink::redis_sink {
namespace {

using data::Batch;
using data::Buffer;
using pipeline::Form;
using pipeline::Manifest;

constexpr std::size_t rows_per_block = 512;

// KEYS: registry. ARGV: generation, ms from now on until it may be removed. By the server's clock, as its removal.
constexpr std::string_view register_text = R"lua(#!lua flags=allow-oom
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2], ARGV[1])
return 1
)lua";

// The hash of the first rows becomes rows of a generation. KEYS: hash, index. ARGV: prefix of the row names.
constexpr std::string_view spread_text = R"lua(#!lua
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  redis.call('RPUSH', KEYS[2], flat[i])
  redis.call('SET', ARGV[1] .. flat[i], flat[i + 1])
end
redis.call('UNLINK', KEYS[1])
return #flat / 2
)lua";

class KeysSink : public pipeline::Sink {
public:
    KeysSink(redis::Options options, KeysOptions keys)
        : options_(std::move(options)), keys_(std::move(keys)), pattern_(keys_.key.pattern()) {}

    void open(const pipeline::SinkContext& context, const data::Schema& schema) override {
        context_ = context;
        options_ = redis::at_key(std::move(options_), pipeline::RedisSpace(context.output_id, pattern_).marker());
        schema_hash_ = schema.hash();
        keys_.key.bind(schema);
        encoder_.emplace(schema);
        if (!keys_.value.empty()) {
            value_ = column_of(schema, keys_.value, "value");
        }
        // 48 random bits of the attempt: its whole id would be 36 bytes more of every row in Redis.
        generation_ = context.attempt_id.substr(0, 13);
        // Behind a pointer all rows carry the tag of our own names.
        const auto tag = keys_.layout == RowLayout::pointer && !keys_.merge ? std::string(pipeline::hash_tag(pattern_))
                                                                            : keys_.key.tag();
        session_.emplace(options_, context, pattern_, tag, redis::Pipeline::Window{.bytes = 1 << 20});
        const auto& space = session_->space();
        staging_ = space.staging(context.attempt_id);
        prefix_ = space.rows(generation_);
        index_ = space.index(generation_);
        session_->pipe().on_reply([this](redis::Reply&& reply) {
            // Of `SET … GET`: the value that was there.
            duplicates_ += reply.type() == redis::Reply::Type::bulk ? 1 : 0;
        });
        in_hash_ = !keys_.merge && keys_.layout != RowLayout::pointer;
        if (!in_hash_) {
            renew();
        }
    }

    void stage(const Batch& batch) override {
        for (std::size_t from = 0; from < batch.rows(); from += rows_per_block) {
            const auto to = std::min(batch.rows(), from + rows_per_block);
            encode(batch, from, to);
            if (in_hash_ && (rows_ + (to - from) > direct_keys || bytes_ + block_bytes_ > direct_bytes)) {
                leave_hash(rows_ + (to - from));
            }
            in_hash_ ? write_hash() : write_rows();
            rows_ += to - from;
            bytes_ += block_bytes_;
        }
        if (renew_at_.passed()) {
            renew();
        }
        session_->look(bytes_);
        HEADRACE_POINT("K6");
    }

    Manifest seal() override {
        renew();
        session_->pipe().drain();
        HEADRACE_POINT("K7");
        verify();
        const bool nothing = in_hash_ && rows_ == 0;
        Manifest manifest;
        manifest.keys.push_back({pattern_, nothing ? "" : in_hash_ ? staging_ : index_});
        manifest.rows = rows_;
        manifest.bytes = bytes_;
        manifest.schema_hash = schema_hash_;
        manifest.ttl_ms = keys_.ttl_ms;
        manifest.meta_key = pattern_ + ":meta";
        manifest.form = keys_.merge ? Form::merge : in_hash_ ? Form::rows : Form::pointer;
        manifest.generation = in_hash_ ? "" : generation_;
        manifest.staged = in_hash_ ? rows_ - duplicates_ : indexed_;
        manifest.keep_ms = keys_.keep_ms;
        manifest.sweep_ms = keys_.sweep_ms;
        if (in_hash_ && !nothing) {
            manifest.payload = session_->connection().command({"DUMP", staging_}).text();
        }
        HEADRACE_POINT("K8");
        return manifest;
    }

    void discard() noexcept override {
        try {
            if (!session_) {
                return;
            }
            const auto registry = session_->space().registry();
            session_.reset();
            HEADRACE_POINT("K18");
            auto connection = connect_briefly(options_);
            connection.command({"UNLINK", staging_});
            if (!in_hash_) {
                // Due at once: the reconciler removes the rows, however many they are.
                const std::string_view args[] = {registry, generation_, "0"};
                redis::eval(connection, registration(), args);
            }
        } catch (const std::exception&) {
            return;
        }
    }

    std::uint64_t bytes_staged() const override { return bytes_; }

private:
    static const redis::Script& registration() {
        static const redis::Script script("register", 1, register_text);
        return script;
    }

    // prefix + key, value, prefix + key, value … of rows [from, to).
    void encode(const Batch& batch, std::size_t from, std::size_t to) {
        buffer_.clear();
        ends_.clear();
        for (std::size_t row = from; row < to; ++row) {
            data::append(buffer_, prefix_);
            keys_.key.append(buffer_, batch, row);
            ends_.push_back(buffer_.size());
            append_row(batch, row);
            ends_.push_back(buffer_.size());
        }
        block_bytes_ = buffer_.size() - (to - from) * prefix_.size();
    }

    void append_row(const Batch& batch, std::size_t row) {
        if (!value_) {
            encoder_->append_object(buffer_, batch, row);
            return;
        }
        if (batch.column(*value_).is_null(row)) {
            throw Error(
                ErrorKind::permanent,
                "sink.invalid",
                fmt::format("row {}: column {} is null and cannot be a value", batch.first_row + row, keys_.value)
            );
        }
        data::append_plain_value(buffer_, batch.column(*value_), row);
    }

    std::string_view argument(std::size_t i) const {
        const auto start = i == 0 ? 0 : ends_[i - 1];
        return {buffer_.data() + start, ends_[i] - start};
    }

    void write_hash() {
        args_.assign({"HSET", staging_});
        for (std::size_t i = 0; i < ends_.size(); i += 2) {
            args_.push_back(argument(i).substr(prefix_.size()));
            args_.push_back(argument(i + 1));
        }
        session_->pipe().add(args_);
    }

    // The index first: what dies in between can still be found and removed.
    void write_rows() {
        args_.assign({"RPUSH", index_});
        for (std::size_t i = 0; i < ends_.size(); i += 2) {
            args_.push_back(argument(i).substr(prefix_.size()));
        }
        session_->pipe().add(args_);
        indexed_ += ends_.size() / 2;
        for (std::size_t i = 0; i < ends_.size(); i += 2) {
            session_->pipe().add({"SET", argument(i), argument(i + 1), "GET"});
        }
    }

    void leave_hash(std::uint64_t rows) {
        if (keys_.layout == RowLayout::direct) {
            throw Error(
                ErrorKind::permanent,
                "sink.too_large",
                fmt::format(
                    "`layout: direct` holds {} keys and {} MiB, and here are {} rows or more",
                    direct_keys,
                    direct_bytes >> 20,
                    rows
                )
            )
                .with_hint("Use `layout: pointer` or `auto`, and read through the pointer (docs/pipelines.md).");
        }
        in_hash_ = false;
        renew();
        static const redis::Script spread("spread", 2, spread_text);
        const std::string_view args[] = {staging_, index_, prefix_};
        indexed_ = static_cast<std::uint64_t>(session_->eval(spread, args).integer());
        duplicates_ = rows_ - indexed_;
    }

    void renew() {
        if (in_hash_) {
            session_->pipe().add({"PEXPIRE", staging_, staging_ttl_ms});
        } else {
            const auto registry = session_->space().registry();
            const std::string_view args[] = {registry, generation_, staging_ttl_ms};
            session_->eval(registration(), args);
        }
        renew_at_ = Deadline::in(ttl_renewal);
    }

    // What Redis holds must be what was sent.
    void verify() {
        const auto held = static_cast<std::uint64_t>(
            session_->connection().command({in_hash_ ? "HLEN" : "LLEN", in_hash_ ? staging_ : index_}).integer()
        );
        if (in_hash_ ? held > rows_ || (held == 0 && rows_ > 0) : held != indexed_) {
            throw Error(
                ErrorKind::transient,
                "redis.command",
                fmt::format("the staging holds {} keys after {} rows", held, rows_)
            );
        }
        if (in_hash_) {
            duplicates_ = rows_ - held;
        }
        if (duplicates_ > 0) {
            context_.log(
                "warn", fmt::format("{} of {} rows share a key: the last one of each is kept", duplicates_, rows_)
            );
        }
    }

    redis::Options options_;
    KeysOptions keys_;
    std::string pattern_;
    pipeline::SinkContext context_;
    std::string schema_hash_;
    std::string generation_;
    std::string staging_;
    std::string prefix_;
    std::string index_;
    std::optional<std::size_t> value_;
    std::optional<data::JsonEncoder> encoder_;
    std::optional<Session> session_;
    bool in_hash_ = true;
    Deadline renew_at_ = Deadline::in(ttl_renewal);
    Buffer<char> buffer_;
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> args_;
    std::size_t block_bytes_ = 0;
    std::uint64_t rows_ = 0;
    std::uint64_t indexed_ = 0;
    std::uint64_t duplicates_ = 0;
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace

std::unique_ptr<pipeline::Sink> make_keys_sink(redis::Options options, KeysOptions keys) {
    return std::make_unique<KeysSink>(std::move(options), std::move(keys));
}

}  // namespace headrace::sink::redis_sink
