#include "run/read_ahead.hpp"

#include "base/killpoint.hpp"

namespace headrace::run {

ReadAhead::ReadAhead(
    std::function<std::unique_ptr<pipeline::Source>()> make,
    pipeline::SourceContext context,
    StopSource stop,
    Journal& journal,
    std::size_t ahead
)
    : make_(std::move(make)), context_(std::move(context)), stop_(std::move(stop)), journal_(journal), ahead_(ahead) {
    thread_ = std::thread([this] { read(); });
}

ReadAhead::~ReadAhead() {
    {
        std::lock_guard lock(mutex_);
        abandoned_ = true;
        if (!ended_) {
            stop_.request_stop("abandoned");
        }
    }
    changed_.notify_all();
    thread_.join();
}

// Thread entry: everything that goes wrong is handed to the consumer.
void ReadAhead::read() {
    try {
        fill();
    } catch (...) {
        std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
    }
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
}

void ReadAhead::fill() {
    const auto source = make_();
    journal_.begin("connect");
    source->connect(context_);
    journal_.done("connect", 0, 0);
    journal_.begin("query");
    if (context_.range) {
        source->restrict(*context_.range);
    }
    auto schema = source->query();
    journal_.done("query", 0, source->bytes_received());
    {
        std::lock_guard lock(mutex_);
        schema_ = schema;
        in_order_ = context_.range && source->in_order();
    }
    changed_.notify_all();
    journal_.begin("read");
    const std::uint64_t rows_before = journal_.rows_read;
    const std::uint64_t bytes_before = journal_.bytes_read;
    auto rows = rows_before;
    data::Batch batch(schema);
    while (source->next(batch)) {
        batch.first_row = rows;
        rows += batch.rows();
        journal_.rows_read = rows;
        journal_.bytes_read = bytes_before + source->bytes_received();
        HEADRACE_POINT("K4");
        if (!give(batch)) {
            return;
        }
        batch.reset(schema);
    }
    journal_.bytes_read = bytes_before + source->bytes_received();
    completeness_ = source->completeness();
    journal_.done("read", rows - rows_before, source->bytes_received(), completeness_.proof);
}

// Hands `batch` over and takes a spare one back. False when nobody wants it any more.
bool ReadAhead::give(data::Batch& batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return full_.size() < ahead_ || abandoned_; });
    if (abandoned_) {
        return false;
    }
    full_.push_back(std::move(batch));
    batch = data::Batch();
    if (!spare_.empty()) {
        batch = std::move(spare_.back());
        spare_.pop_back();
    }
    lock.unlock();
    changed_.notify_all();
    return true;
}

const data::Schema& ReadAhead::schema() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return schema_ || ended_; });
    if (!schema_) {
        std::rethrow_exception(failure_);
    }
    return *schema_;
}

bool ReadAhead::next(data::Batch& batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !full_.empty() || ended_; });
    if (full_.empty()) {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        return false;
    }
    spare_.push_back(std::move(batch));
    batch = std::move(full_.front());
    full_.erase(full_.begin());
    lock.unlock();
    changed_.notify_all();
    return true;
}

}  // namespace headrace::run
