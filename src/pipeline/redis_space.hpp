// The names of our own keys beside an output's live keys in Redis. Sinks write them, the publisher moves them, tests
// look at them: this is the only place that spells them.
#pragma once

#include <string>
#include <string_view>

namespace headrace::pipeline {

// What Redis Cluster hashes of a key: the text between the first `{` and the next `}`; "" when there is no such tag
// (the whole key counts then).
std::string_view hash_tag(std::string_view key);

// All names of one output start with "{o:<id>}", or with "{tag}:o:<id>" when the live key carries a tag, so that they
// share one slot of a cluster with it. Cheap value type.
class RedisSpace {
public:
    // `live` is the live key, of one key per row its pattern ("user:*").
    RedisSpace(std::string_view output_id, std::string_view live);

    const std::string& base() const { return base_; }

    std::string marker() const { return base_ + ":applied"; }  // hash: e(poch), s(eq), r(un), p(revious), g, b

    std::string staging(std::string_view attempt) const { return base_ + ":s:" + std::string(attempt) + ":0"; }

    // The generation "1.7" (epoch.seq) that was live before, one key or the hash of its rows.
    std::string previous(std::string_view label) const { return base_ + ":p:" + std::string(label); }

    // --- one key per row
    std::string current() const { return base_ + ":cur"; }  // form rows: hash of the live rows

    std::string rows(std::string_view generation) const { return base_ + ":g:" + std::string(generation) + ":"; }

    // List of the row keys of a generation: whatever is staged stands in it.
    std::string index(std::string_view generation) const { return base_ + ":i:" + std::string(generation); }

    // Sorted set: generations that may be removed, by the time (ms) from which on.
    std::string registry() const { return base_ + ":gens"; }

    std::string seen() const { return base_ + ":seen"; }  // merge: sorted set of row keys by the time they last came

private:
    std::string base_;
};

}  // namespace headrace::pipeline
