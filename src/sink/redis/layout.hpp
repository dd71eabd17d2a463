// How rows become Redis commands: one class per `as:`. Each writes to one staging key.
#pragma once

#include "data/batch.hpp"
#include "data/json.hpp"
#include "sink/redis/staging_key.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace headrace::sink::redis_sink {

struct LayoutOptions {
    std::string as;                   // json | list | hash | set | zset
    std::string field;                // hash
    std::string member;               // set, zset
    std::string score;                // zset
    std::uint64_t chunk_rows = 1000;  // list
};

class Layout {
public:
    Layout() = default;
    Layout(const Layout&) = delete;
    Layout& operator=(const Layout&) = delete;
    virtual ~Layout() = default;

    virtual void write(StagingKey& out, const data::Batch& batch) = 0;
    virtual void finish(StagingKey& out) = 0;  // what is still buffered
    // Name and expected answer of the command that counts what Redis now holds; the sink compares after finish().
    virtual std::string count_command() const = 0;                    // "STRLEN", "HLEN" …
    virtual std::optional<std::uint64_t> expected_count() const = 0;  // nullopt: duplicates may make it smaller
    virtual bool empty() const = 0;                                   // true: no key exists, the live one is deleted

    std::uint64_t bytes() const { return bytes_; }

protected:
    std::uint64_t bytes_ = 0;
};

// Throws sink.invalid when a column is missing or of the wrong kind.
std::unique_ptr<Layout> make_layout(const LayoutOptions& options, const data::Schema& schema);

}  // namespace headrace::sink::redis_sink
