#include "source/bigquery/storage/streams.hpp"

#include "source/bigquery/storage/outcome.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace headrace::source::bigquery::storage {
namespace {

constexpr auto most_silence = std::chrono::minutes(2);
constexpr std::size_t most_streams = 10'000;
constexpr int most_empty_responses = 1000;

}  // namespace

Streams::Streams(const Config& config, Api& api, const Result& result, OpenSession open)
    : config_(config),
      api_(api),
      result_(result),
      open_(std::move(open)),
      decoder_(result.columns, open_.session.schema) {
    if (open_.session.streams.size() > most_streams) {
        incomplete(fmt::format("the session has {} streams", open_.session.streams.size()));
    }
    for (const auto& name : open_.session.streams) {
        streams_.emplace_back();
        streams_.back().name = name;
    }
}

void Streams::say(std::string_view level, std::string message) const {
    if (api_.context().log) {
        api_.context().log(level, std::move(message));
    }
}

void Streams::incomplete(std::string what) const {
    throw Error(
        ErrorKind::transient,
        "source.incomplete",
        fmt::format("Storage Read: {}; {} of {} rows were read", what, rows_, result_.rows)
    );
}

bool Streams::next(data::Batch& batch) {
    while (batch.bytes() < data::target_batch_bytes) {
        if (current_ == nullptr && (current_ = await_rows()) == nullptr) {
            prove();
            break;
        }
        if (decoder_.decode(batch, data::target_batch_bytes)) {
            taken(*std::exchange(current_, nullptr));
        }
    }
    return batch.rows() > 0;
}

// Every stream ended by itself, and together they had every row.
void Streams::prove() const {
    if (rows_ != result_.rows) {
        incomplete("every stream has ended");
    }
}

// The next stream with a response, its decoding begun; nullptr: all have ended.
Streams::Stream* Streams::await_rows() {
    for (;;) {
        call_again();
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            auto& stream = streams_[(turn_ + i) % streams_.size()];
            if (!stream.call) {
                continue;
            }
            const auto state = stream.call->state();
            if (state == RowsCall::State::rows) {
                turn_ = (turn_ + i + 1) % streams_.size();
                take(stream);
                return &stream;
            }
            if (state == RowsCall::State::over) {
                const auto outcome = stream.call->outcome();
                ended(stream, outcome);
            } else if (stream.silence.passed()) {
                broke(
                    stream,
                    {Code::deadline_exceeded,
                     fmt::format("it sent nothing for {} ms", longest_silence().count()),
                     std::nullopt}
                );
            }
        }
        if (std::all_of(streams_.begin(), streams_.end(), [](const auto& one) { return one.over; })) {
            return nullptr;
        }
        call_again();
        wait_for_news(*open_.waker, earliest(), api_.context());
    }
}

// As many as may run at once: those that wait for their time first.
void Streams::call_again() {
    auto left = room();
    for (auto& stream : streams_) {
        const bool may = !stream.over && !stream.call && (!stream.patience || stream.again.passed());
        if (may && left > 0) {
            call(stream);
            --left;
        }
    }
}

int Streams::room() const {
    auto room = config_.max_streams;
    for (const auto& stream : streams_) {
        room -= stream.call ? 1 : 0;
    }
    return room;
}

Deadline Streams::earliest() const {
    const bool may_call = room() > 0;
    auto out = Deadline::never();
    for (const auto& stream : streams_) {
        if (stream.call) {
            out = out.earlier(stream.silence);
        } else if (!stream.over && may_call) {
            out = out.earlier(stream.again);
        }
    }
    return out;
}

std::chrono::milliseconds Streams::longest_silence() const {
    return std::min<std::chrono::milliseconds>(most_silence, config_.request_timeout);
}

void Streams::call(Stream& stream) {
    stream.call = open_.wire->read_rows(stream.name, static_cast<std::int64_t>(stream.offset), api_.token().reveal());
    stream.silence = Deadline::in(longest_silence());
    stream.again = Deadline::never();
}

void Streams::ended(Stream& stream, const Outcome& outcome) {
    if (outcome.code == Code::ok) {
        stream.call.reset();
        stream.over = true;
        return;
    }
    if (outcome.code == Code::unauthenticated && !std::exchange(stream.renewed, true)) {
        api_.drop_token();
        call(stream);
        return;
    }
    broke(stream, outcome);
}

// Goes on behind the last whole response, after a wait.
void Streams::broke(Stream& stream, const Outcome& outcome) {
    stream.call.reset();
    const auto doing = fmt::format("send the rows from {} of a stream", stream.offset + 1);
    if (!worth_repeating(outcome)) {
        throw to_error(outcome, doing);
    }
    if (!stream.patience) {
        stream.patience.emplace(config_, api_.context());
    }
    const auto wait = stream.patience->draw(outcome.retry_after);
    if (!wait) {
        throw to_error(outcome, doing);
    }
    ++resumed_;
    stream.again = Deadline::in(*wait);
    say("warn", fmt::format("a stream broke after {} rows, it is asked to go on: {}", stream.offset, outcome.message));
}

void Streams::take(Stream& stream) {
    const auto rows = stream.call->rows();
    if (!rows.schema.empty() && rows.schema != open_.session.schema) {
        incomplete("a stream has other columns than its session");
    }
    if (!rows.plain_avro || rows.count < 0) {
        throw Error(ErrorKind::permanent, "source.unsupported", "Storage Read sent rows that are not plain Avro");
    }
    if (rows.throttle_percent > throttled_) {
        if (throttled_ == 0) {
            say("info", fmt::format("BigQuery slows the streams down (throttle {} %)", rows.throttle_percent));
        }
        throttled_ = rows.throttle_percent;
    }
    bytes_.fetch_add(rows.bytes.size(), std::memory_order_relaxed);
    stream.silence = Deadline::never();
    decoder_.begin(rows.bytes, static_cast<std::uint64_t>(rows.count), rows_);
}

void Streams::taken(Stream& stream) {
    const auto count = static_cast<std::uint64_t>(stream.call->rows().count);
    stream.offset += count;
    rows_ += count;
    if (rows_ > result_.rows) {
        incomplete("more rows come than the result has");
    }
    if (count > 0) {
        stream.patience.reset();
        stream.renewed = false;
        stream.empty = 0;
    } else if (++stream.empty > most_empty_responses) {
        incomplete("responses without rows do not end");
    }
    stream.silence = Deadline::in(longest_silence());
    stream.call->next();
}

}  // namespace headrace::source::bigquery::storage
