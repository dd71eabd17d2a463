// What a service says when it does not give a page, and the Error that it becomes. Pure.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>

namespace headrace::source::http {

struct Refusal {
    int status = 0;
    std::string text;  // one line of what it said

    bool slow_down() const { return status == 429 || status == 503; }

    // The same request again, after a wait.
    bool worth_repeating() const {
        return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
               status == 504;
    }
};

// One line of printable text, shortened.
std::string one_line(std::string_view text, std::size_t most);

// Of a body of any kind: the message of a JSON document, or the text without its tags.
std::string refusal_text(std::string_view body, std::string_view content_type);

// `midway`: pages came before.
Error to_error(const Refusal& refusal, std::string_view doing, bool midway);

}  // namespace headrace::source::http
