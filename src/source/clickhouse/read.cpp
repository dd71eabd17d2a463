#include "base/error.hpp"
#include "base/ids.hpp"
#include "net/http_client.hpp"
#include "net/http_headers.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "source/clickhouse/config.hpp"
#include "source/clickhouse/decode.hpp"
#include "source/clickhouse/exception.hpp"
#include "source/clickhouse/range.hpp"
#include "source/clickhouse/request.hpp"
#include "source/clickhouse/server.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

namespace headrace::source::clickhouse {
namespace {

constexpr std::size_t most_error_text = 64 * 1024;
constexpr std::size_t late_words = 64 * 1024;  // received after a failure, to see whether the server explains it

using Parameters = std::vector<std::pair<std::string, std::string>>;

// "… FORMAT JSON": the word before the last one.
bool has_format_clause(std::string_view query) {
    constexpr std::string_view blank = " \t\r\n";
    const auto last = query.find_last_of(blank);
    const auto end = last == std::string_view::npos ? last : query.find_last_not_of(blank, last);
    if (end == std::string_view::npos) {
        return false;
    }
    const auto before = query.substr(0, end + 1);
    return net::equal_no_case(before.substr(before.find_last_of(blank) + 1), "format");
}

class ClickHouseSource final : public pipeline::Source {
public:
    ClickHouseSource(Config config, std::function<bool(const sockaddr*)> egress_check)
        : config_(std::move(config)), server_(config_, std::move(egress_check)) {}

    ~ClickHouseSource() override {
        if (running_) {
            response_.reset();  // first give the connection up: a server that streams stops by itself
            server_.kill(query_id_);
        }
    }

    void connect(const pipeline::SourceContext& context) override;
    void restrict(pipeline::CursorRange& range) override;
    data::Schema query() override;

    bool in_order() const override { return in_order_; }

    bool next(data::Batch& batch) override;
    pipeline::Completeness completeness() const override;

    std::uint64_t bytes_received() const override { return bytes_.load(std::memory_order_relaxed); }

private:
    std::string next_query_id();
    std::string largest(const pipeline::CursorRange& range);
    void start_query();
    std::optional<ServerException> refusal();
    bool gives_way(const ServerException& exception, Parameters& settings);
    std::string_view next_piece();
    bool decode_block();
    [[noreturn]] void explain(const Error& error);
    void finish();
    data::Schema describe();

    std::string_view format() const { return config_.row_binary ? "RowBinaryWithNamesAndTypes" : "Native"; }

    Config config_;
    pipeline::SourceContext context_;
    Server server_;
    std::optional<net::HttpResponse> response_;
    std::optional<ByteReader> reader_;
    std::unique_ptr<Decoder> decoder_;

    std::string query_id_;  // of the try that runs
    int tries_ = 0;
    bool running_ = false;  // sent and not known to have ended
    bool in_order_ = false;
    bool over_ = false;  // the end was seen and proven

    data::Schema schema_;
    data::Batch block_;  // decoded, handed out from handed_ on
    std::size_t handed_ = 0;
    std::uint64_t rows_ = 0;
    std::string tag_;  // X-ClickHouse-Exception-Tag
    std::atomic<std::uint64_t> bytes_{0};
};

void ClickHouseSource::connect(const pipeline::SourceContext& context) {
    context_ = context;
    server_.use(context);
    if (context.first_rows) {  // a preview: the first block counts, and its query is stopped behind it
        config_.wait_end_of_query = config_.row_binary;
        config_.max_block_size = std::clamp<std::uint64_t>(*context.first_rows, 1, config_.max_block_size);
    }
    server_.learn();
    server_.say(
        "info",
        fmt::format(
            "connected to ClickHouse {} at {}{}",
            server_.version(),
            config_.origin,
            server_.takes_settings() ? "" : "; this user may not change settings (readonly=1)"
        )
    );
    if (!config_.parameters.empty() && server_.major() > 0 && server_.major() < 19) {
        throw Error(
            ErrorKind::permanent,
            "source.query",
            fmt::format("`parameters` are given, but ClickHouse {} knows none", server_.version())
        )
            .with_hint("They came with 19.14: write the values into the query, or use a newer server.");
    }
    if (!server_.takes_settings() && config_.compress) {
        server_.say("info", "without `compress`: it is a setting, and this user may not change any");
    }
    if (!server_.takes_settings() && !config_.settings.empty()) {
        throw Error(
            ErrorKind::permanent,
            "source.query",
            "`settings` are given, but this ClickHouse user may not change any (readonly=1)"
        )
            .with_hint("Remove `settings`, or give the user readonly=2.");
    }
}

std::string ClickHouseSource::next_query_id() {
    return fmt::format("headrace-{}-{}", context_.attempt_id.empty() ? make_uuid_v4() : context_.attempt_id, ++tries_);
}

void ClickHouseSource::restrict(pipeline::CursorRange& range) {
    if (!range.to) {
        const auto found = largest(range);
        range.to = found.empty() ? range.from : found;
    }
    in_order_ = !pipeline::cursor_words(config_.query).from;  // then range_sql sorts; the user's own order is unknown
    config_.query = range_sql(config_.query, range, server_.major());
}

// "" when no row has a value at or after `from`.
std::string ClickHouseSource::largest(const pipeline::CursorRange& range) {
    query_id_ = next_query_id();
    Ask question{largest_sql(config_.query, range, server_.major()), query_id_, {}, "Native", true};
    if (server_.takes_settings()) {
        question.parameters = config_.settings;
    }
    running_ = true;
    auto body = server_.ask(question, Phase::query, context_.deadline).body;
    running_ = false;
    ByteReader reader([&, taken = false]() mutable {
        return std::exchange(taken, true) ? std::string_view() : std::string_view(body);
    });
    NativeDecoder decoder(reader, DecodeOptions{1u << 20, server_.major() < 20});
    data::Batch answer;
    if (!decoder.next_block(answer) || answer.column(0).is_null(0)) {
        return {};
    }
    if (pipeline::cursor_kind_of(answer.column(0).kind()) != range.kind) {
        throw Error(
            ErrorKind::permanent,
            "source.cursor",
            fmt::format(
                "the cursor column `{}` is {}, and `incremental.start` is {}",
                range.column,
                data::to_string(answer.column(0).kind()),
                pipeline::to_string(range.kind)
            )
        )
            .with_hint("A cursor is an integer, a date, a timestamp or a string, and `start` a value of its kind.");
    }
    return pipeline::cursor_value(answer.column(0), 0);
}

// Sends the query until it is taken or refused for good. Nothing of an answer is used before that.
void ClickHouseSource::start_query() {
    Parameters settings;
    if (server_.takes_settings()) {
        settings = wanted_settings(config_, context_.deadline, server_.major());
    }
    for (;;) {
        query_id_ = next_query_id();
        Ask ask{config_.query, query_id_, settings, format(), true, config_.compress};
        ask.parameters.emplace_back("wait_end_of_query", config_.wait_end_of_query ? "1" : "0");
        running_ = true;
        response_ = speaking(Phase::query, [&] {
            return server_.client().start(make_request(config_, ask, context_.deadline), context_.stop);
        });
        const auto exception = refusal();
        if (!exception) {
            return;
        }
        running_ = false;
        const int status = response_->status();
        response_.reset();
        if (!gives_way(*exception, settings)) {
            throw to_error(*exception, status, false);
        }
    }
}

// What the server says instead of rows, if it does.
std::optional<ServerException> ClickHouseSource::refusal() {
    const auto code = response_->headers().get("X-ClickHouse-Exception-Code");
    if (response_->status() == 200 && code.empty()) {
        return std::nullopt;
    }
    auto exception = parse_exception(speaking(Phase::query, [&] { return response_->read_all(most_error_text); }));
    if (exception.code == 0) {
        std::from_chars(code.data(), code.data() + code.size(), exception.code);
    }
    return exception;
}

// Settings are wishes where they come from the connector itself: an older server may not know one (115), a user may not
// be allowed any (164). True when the query is worth another try without.
bool ClickHouseSource::gives_way(const ServerException& exception, Parameters& settings) {
    constexpr int unknown_setting = 115;
    constexpr int readonly = 164;
    if (exception.code == readonly && !settings.empty() && config_.settings.empty()) {
        server_.say("info", "this ClickHouse user may not change settings: the query goes without");
        settings.clear();
        server_.refuses_settings();
        return true;
    }
    if (exception.code != unknown_setting) {
        return false;
    }
    for (std::size_t i = config_.settings.size(); i < settings.size(); ++i) {
        if (exception.message.find(settings[i].first) != std::string::npos) {
            server_.say("debug", fmt::format("this server has no setting {}", settings[i].first));
            settings.erase(settings.begin() + static_cast<std::ptrdiff_t>(i));
            return true;
        }
    }
    return false;
}

std::string_view ClickHouseSource::next_piece() {
    const auto piece = response_->read_chunk();
    bytes_.store(response_->wire_bytes(), std::memory_order_relaxed);
    return piece;
}

data::Schema ClickHouseSource::query() {
    start_query();
    tag_ = response_->headers().get("X-ClickHouse-Exception-Tag");
    const auto answered = response_->headers().get("X-ClickHouse-Format");
    if (!answered.empty() && answered != format()) {
        throw Error(ErrorKind::permanent, "source.query", fmt::format("the query asks for FORMAT {}", answered))
            .with_hint("Remove the FORMAT clause: the connector chooses the format.");
    }
    reader_.emplace([this] { return next_piece(); });
    const DecodeOptions options{static_cast<std::size_t>(config_.max_block_bytes), server_.major() < 20};
    if (config_.row_binary) {
        decoder_ = std::make_unique<RowBinaryDecoder>(*reader_, options);
    } else {
        decoder_ = std::make_unique<NativeDecoder>(*reader_, options);
    }
    const bool any = decode_block();
    schema_ = decoder_->has_schema() ? decoder_->schema() : describe();
    if (!any) {
        block_.reset(schema_);
    }
    return schema_;
}

// Fills block_. False at the proven end.
bool ClickHouseSource::decode_block() {
    handed_ = 0;
    try {
        if (decoder_->next_block(block_)) {
            return true;
        }
    } catch (const Error& error) {
        explain(error);
    }
    finish();
    return false;
}

// A failure while reading: whatever the decoder made of it, the server's own words count, if there are any.
void ClickHouseSource::explain(const Error& error) {
    if (error.kind() != ErrorKind::cancelled && error.code().starts_with("source.")) {
        reader_->drain(late_words);
    }
    if (const auto late = find_late_exception(reader_->tail(), tag_); late && error.kind() != ErrorKind::cancelled) {
        running_ = false;
        throw to_error(*late, response_->status(), true);
    }
    if (decoder_->blocks() == 0 && error.code().starts_with("source.") && has_format_clause(config_.query)) {
        throw Error(
            ErrorKind::permanent,
            "source.query",
            fmt::format("the answer is not in the format {}: does the query have a FORMAT clause?", format())
        )
            .with_hint("Remove the FORMAT clause.");
    }
    throw in_source_words(error, Phase::read);
}

// The body is over, between two blocks, and HTTP says that it is whole.
void ClickHouseSource::finish() {
    running_ = false;
    over_ = true;
    if (tag_.empty()) {
        return;
    }
    if (const auto late = find_late_exception(reader_->tail(), tag_)) {
        over_ = false;
        throw to_error(*late, response_->status(), true);
    }
}

// A result without rows is an empty body: its columns must be asked for.
data::Schema ClickHouseSource::describe() {
    Ask question{describe_sql(config_.query), "", {}, "TabSeparated", true};
    if (server_.takes_settings()) {
        question.parameters = config_.settings;
    }
    data::Schema schema;
    for (const auto& row : parse_tsv(server_.ask(question, Phase::query, context_.deadline).body)) {
        if (row.size() >= 2) {
            schema.fields.push_back(field_of(row[0], parse_type(row[1], row[0])));
        }
    }
    return schema;
}

bool ClickHouseSource::next(data::Batch& batch) {
    if (handed_ == block_.rows()) {
        if (over_ || !decode_block()) {
            return false;
        }
    }
    const std::size_t left = block_.rows() - handed_;
    const std::size_t bytes = block_.bytes();
    const std::uint64_t first = rows_;
    if (handed_ == 0 && bytes <= 2 * data::target_batch_bytes) {
        std::swap(batch, block_);  // the caller's memory takes the next block
        block_.clear();
        rows_ += left;
    } else {  // a server that sends larger blocks than it was asked for
        const std::size_t slice =
            std::max<std::size_t>(1, block_.rows() * data::target_batch_bytes / std::max<std::size_t>(bytes, 1));
        const std::size_t count = std::min(left, slice);
        batch.append_rows(block_, handed_, handed_ + count);
        handed_ += count;
        rows_ += count;
    }
    batch.first_row = first;
    return true;
}

pipeline::Completeness ClickHouseSource::completeness() const {
    const auto blocks = decoder_ ? decoder_->blocks() : 0;
    const auto how = config_.wait_end_of_query ? "wait_end_of_query: status 200 after the end of the query"
                     : !tag_.empty()           ? "no exception block of this answer's tag"
                                               : "no text behind the last block";
    return {
        fmt::format("{}, body complete, {} blocks of the same columns, ClickHouse {}", how, blocks, server_.version()),
        rows_,
        bytes_received()};
}

}  // namespace

pipeline::SourceType type(std::function<bool(const sockaddr*)> egress_check) {
    pipeline::SourceType out;
    out.name = "clickhouse";
    out.help = "Reads one query from ClickHouse over HTTP.";
    out.options = option_specs();
    out.needs_credential = true;
    out.incremental = true;
    out.make = [egress_check = std::move(egress_check)](
                   const pipeline::Part& part, const pipeline::Credential& credential
               ) { return std::make_unique<ClickHouseSource>(make_config(part, credential), egress_check); };
    return out;
}

}  // namespace headrace::source::clickhouse
