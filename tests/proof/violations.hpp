// What must never happen, counted by kind with the first examples. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace headrace::proof {

// The invariants of docs/commit-protocol.md; `other`: a worker that ends by itself, a deadlock, staging without a TTL.
inline const std::vector<std::string> violation_kinds = {"doubled", "torn", "lost", "stuck", "backwards", "other"};

class Violations {
public:
    void add(const std::string& kind, const std::string& what);
    long count(const std::string& kind) const;
    long total() const;
    std::vector<std::string> examples() const;  // "kind: what", at most five of a kind

private:
    mutable std::mutex mutex_;
    std::map<std::string, long> counts_;
    std::vector<std::string> examples_;
};

}  // namespace headrace::proof
