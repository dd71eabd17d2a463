#include "base/redactor.hpp"

#include "base/encoding.hpp"

#include <algorithm>

namespace headrace {

void Redactor::add(const Secret& secret) {
    const auto& value = secret.reveal();
    if (value.size() < 4) {
        return;
    }
    std::lock_guard lock(mutex_);
    for (auto& spelling :
         {value, base64_encode(value), base64url_encode(value), percent_encode(value), hex_encode(value)}) {
        const bool known =
            std::any_of(spellings_.begin(), spellings_.end(), [&](const Secret& s) { return s.reveal() == spelling; });
        if (!known) {
            spellings_.emplace_back(spelling);
        }
    }
    any_ = true;
}

std::string Redactor::apply(std::string text) const {
    if (!any_) {
        return text;
    }
    std::lock_guard lock(mutex_);
    for (const auto& spelling : spellings_) {
        for (auto at = text.find(spelling.reveal()); at != std::string::npos;
             at = text.find(spelling.reveal(), at + 3)) {
            text.replace(at, spelling.reveal().size(), "***");
        }
    }
    return text;
}

}  // namespace headrace
