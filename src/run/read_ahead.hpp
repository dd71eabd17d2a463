// Runs a source on a thread of its own, a few batches ahead of the consumer: the socket is read while the sinks are
// busy, and a full queue stops the reading (back-pressure). Batches are recycled: memory is (ahead + 2) batches.
#pragma once

#include "pipeline/source.hpp"
#include "run/journal.hpp"

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace headrace::run {

class ReadAhead {
public:
    // Rows and bytes are counted on from what the journal has. `make` is called on the read thread; the source lives
    // and dies there. `stop` is the attempt's: going away before the end of the source requests it, so that a source
    // that waits for its server wakes up.
    ReadAhead(
        std::function<std::unique_ptr<pipeline::Source>()> make,
        pipeline::SourceContext context,
        StopSource stop,
        Journal& journal,
        std::size_t ahead = 2
    );
    ~ReadAhead();  // joins
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // Waits for connect and query. Rethrows what the read thread threw.
    const data::Schema& schema();

    // After schema(): the range that is read, with both ends.
    const std::optional<pipeline::CursorRange>& range() const { return context_.range; }

    // After schema(): of an incremental read, see pipeline::Source.
    bool in_order() const { return in_order_; }

    // Swaps the next batch into `batch` (whose memory goes back to the reader). False: the end, proven.
    bool next(data::Batch& batch);

    // After next() returned false.
    const pipeline::Completeness& completeness() const { return completeness_; }

private:
    void read();
    void fill();
    bool give(data::Batch& batch);

    std::function<std::unique_ptr<pipeline::Source>()> make_;
    pipeline::SourceContext context_;
    StopSource stop_;
    Journal& journal_;
    const std::size_t ahead_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<data::Schema> schema_;
    bool in_order_ = false;
    std::vector<data::Batch> full_;
    std::vector<data::Batch> spare_;
    bool ended_ = false;
    bool abandoned_ = false;
    std::exception_ptr failure_;
    pipeline::Completeness completeness_;
    std::thread thread_;
};

}  // namespace headrace::run
