#include "sink/redis/layout.hpp"

#include "base/error.hpp"
#include "sink/redis/key_template.hpp"

#include <fmt/core.h>

namespace headrace::sink::redis_sink {
namespace {

using data::Batch;
using data::Buffer;

constexpr std::size_t json_chunk = 1 << 20;
constexpr std::size_t json_limit = 512u << 20;
constexpr std::size_t pairs_per_command = 512;

// One string: "[" row "," row … "]", appended in pieces of about a megabyte.
class JsonLayout : public Layout {
public:
    explicit JsonLayout(const data::Schema& schema) : encoder_(schema) {}

    void write(StagingKey& out, const Batch& batch) override {
        for (std::size_t from = 0; from < batch.rows(); from += rows_at_once) {
            buffer_.push_back(rows_ == 0 ? '[' : ',');
            const auto to = std::min(batch.rows(), from + rows_at_once);
            encoder_.append_objects(buffer_, batch, from, to);
            rows_ += to - from;
            if (buffer_.size() >= json_chunk) {
                flush(out);
            }
        }
    }

    void finish(StagingKey& out) override {
        if (rows_ == 0) {
            buffer_.push_back('[');
        }
        buffer_.push_back(']');
        flush(out);
    }

    std::string count_command() const override { return "STRLEN"; }

    std::optional<std::uint64_t> expected_count() const override { return bytes_; }

    bool empty() const override { return false; }

private:
    static constexpr std::size_t rows_at_once = 512;

    void flush(StagingKey& out) {
        bytes_ += buffer_.size();
        if (bytes_ > json_limit) {
            throw Error(
                ErrorKind::permanent, "sink.too_large", fmt::format("the JSON text of {} rows passes 512 MB", rows_)
            );
        }
        const std::string_view args[] = {"APPEND", out.name(), view(buffer_)};
        out.add_large(args);
        buffer_.clear();
    }

    data::JsonEncoder encoder_;
    Buffer<char> buffer_;
    std::uint64_t rows_ = 0;
};

class ListLayout : public Layout {
public:
    ListLayout(const data::Schema& schema, std::uint64_t chunk_rows) : encoder_(schema), chunk_rows_(chunk_rows) {}

    void write(StagingKey& out, const Batch& batch) override {
        for (std::size_t from = 0; from < batch.rows();) {
            const auto to = std::min<std::size_t>(batch.rows(), from + (chunk_rows_ - in_chunk_));
            buffer_.push_back(in_chunk_ == 0 ? '[' : ',');
            encoder_.append_objects(buffer_, batch, from, to);
            in_chunk_ += to - from;
            from = to;
            if (in_chunk_ == chunk_rows_) {
                flush(out);
            }
        }
    }

    void finish(StagingKey& out) override {
        if (in_chunk_ > 0) {
            flush(out);
        }
    }

    std::string count_command() const override { return "LLEN"; }

    std::optional<std::uint64_t> expected_count() const override { return chunks_; }

    bool empty() const override { return chunks_ == 0; }

private:
    void flush(StagingKey& out) {
        buffer_.push_back(']');
        bytes_ += buffer_.size();
        const std::string_view args[] = {"RPUSH", out.name(), view(buffer_)};
        out.add_large(args);
        buffer_.clear();
        in_chunk_ = 0;
        ++chunks_;
    }

    data::JsonEncoder encoder_;
    Buffer<char> buffer_;
    std::uint64_t chunk_rows_;
    std::uint64_t in_chunk_ = 0;
    std::uint64_t chunks_ = 0;
};

// Layouts of many small arguments: values are encoded into one buffer, then named by offset.
class PairLayout : public Layout {
public:
    void write(StagingKey& out, const Batch& batch) override {
        for (std::size_t from = 0; from < batch.rows(); from += pairs_per_command) {
            const auto to = std::min(batch.rows(), from + pairs_per_command);
            buffer_.clear();
            ends_.clear();
            for (std::size_t row = from; row < to; ++row) {
                encode(batch, row);
            }
            args_.assign({command(), out.name()});
            std::size_t start = 0;
            for (const auto end : ends_) {
                args_.emplace_back(buffer_.data() + start, end - start);
                start = end;
            }
            bytes_ += buffer_.size();
            rows_ += to - from;
            out.add(args_);
        }
    }

    void finish(StagingKey&) override {}

    std::optional<std::uint64_t> expected_count() const override { return std::nullopt; }

    bool empty() const override { return rows_ == 0; }

protected:
    virtual std::string_view command() const = 0;
    virtual void encode(const Batch& batch, std::size_t row) = 0;

    void end_argument() { ends_.push_back(buffer_.size()); }

    void put_key(const Batch& batch, std::size_t column, std::size_t row) {
        if (batch.column(column).is_null(row)) {
            throw Error(
                ErrorKind::permanent,
                "sink.invalid",
                fmt::format(
                    "row {}: column {} is null and cannot be a key",
                    batch.source_row(row) + 1,
                    batch.schema().fields[column].name
                )
            );
        }
        data::append_plain_value(buffer_, batch.column(column), row);
        end_argument();
    }

    Buffer<char> buffer_;

private:
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> args_;
    std::uint64_t rows_ = 0;
};

class HashLayout : public PairLayout {
public:
    HashLayout(const data::Schema& schema, std::size_t field) : encoder_(schema), field_(field) {}

    std::string count_command() const override { return "HLEN"; }

private:
    std::string_view command() const override { return "HSET"; }

    void encode(const Batch& batch, std::size_t row) override {
        put_key(batch, field_, row);
        encoder_.append_object(buffer_, batch, row);
        end_argument();
    }

    data::JsonEncoder encoder_;
    std::size_t field_;
};

class SetLayout : public PairLayout {
public:
    explicit SetLayout(std::size_t member) : member_(member) {}

    std::string count_command() const override { return "SCARD"; }

private:
    std::string_view command() const override { return "SADD"; }

    void encode(const Batch& batch, std::size_t row) override { put_key(batch, member_, row); }

    std::size_t member_;
};

class ZsetLayout : public PairLayout {
public:
    ZsetLayout(std::size_t member, std::size_t score) : member_(member), score_(score) {}

    std::string count_command() const override { return "ZCARD"; }

private:
    std::string_view command() const override { return "ZADD"; }

    void encode(const Batch& batch, std::size_t row) override {
        put_key(batch, score_, row);
        put_key(batch, member_, row);
    }

    std::size_t member_;
    std::size_t score_;
};

bool is_number(data::Kind kind) {
    return kind == data::Kind::int64 || kind == data::Kind::uint64 || kind == data::Kind::float64 ||
           kind == data::Kind::decimal;
}

}  // namespace

std::unique_ptr<Layout> make_layout(const LayoutOptions& options, const data::Schema& schema) {
    if (options.as == "list") {
        return std::make_unique<ListLayout>(schema, options.chunk_rows);
    }
    if (options.as == "hash") {
        return std::make_unique<HashLayout>(schema, column_of(schema, options.field, "field"));
    }
    if (options.as == "set") {
        return std::make_unique<SetLayout>(column_of(schema, options.member, "member"));
    }
    if (options.as == "zset") {
        const auto score = column_of(schema, options.score, "score");
        if (!is_number(schema.fields[score].kind)) {
            throw Error(
                ErrorKind::permanent, "sink.invalid", fmt::format("score: column `{}` is not a number", options.score)
            );
        }
        return std::make_unique<ZsetLayout>(column_of(schema, options.member, "member"), score);
    }
    return std::make_unique<JsonLayout>(schema);
}

}  // namespace headrace::sink::redis_sink
