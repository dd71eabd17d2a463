// Takes live secrets out of text that is about to be shown or stored: the exact value, and its base64, percent and hex
// spellings, become "***". Thread-safe; costs nothing while it knows no secret.
#pragma once

#include "base/secret.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace headrace {

class Redactor {
public:
    // Secrets shorter than 4 characters are not looked for: they would eat ordinary text.
    void add(const Secret& secret);
    std::string apply(std::string text) const;

private:
    mutable std::mutex mutex_;
    std::atomic<bool> any_{false};
    std::vector<Secret> spellings_;
};

}  // namespace headrace
