#include "proof/violations.hpp"

namespace headrace::proof {

void Violations::add(const std::string& kind, const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (++counts_[kind] <= 5) {
        examples_.push_back(kind + ": " + what);
    }
}

long Violations::count(const std::string& kind) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
}

long Violations::total() const {
    const std::lock_guard lock(mutex_);
    long sum = 0;
    for (const auto& [kind, count] : counts_) {
        sum += count;
    }
    return sum;
}

std::vector<std::string> Violations::examples() const {
    const std::lock_guard lock(mutex_);
    return examples_;
}

}  // namespace headrace::proof
