#include "source/bigquery/page.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace headrace::source::bigquery {
namespace {

constexpr std::size_t first_capacity = 256 * 1024;  // a window and its parser's index stay in the second-level cache
constexpr std::size_t most_envelope = std::size_t{8} << 20;  // 10,000 columns with descriptions are 2 MB
constexpr std::string_view blanks = " \t\r\n";

// Between two rows of a compact page. It cannot stand elsewhere: a quote behind "{" is not escaped, so it begins a name
// here, and a record within a row follows ":" and not ",". Where a page is written in another way, walk_rows() finds
// the rows.
constexpr std::string_view boundary = "},{\"f\":";

[[noreturn]] void incomplete() {
    throw Error(ErrorKind::transient, "source.incomplete", "a page of BigQuery ends in the middle of its JSON text");
}

[[noreturn]] void bad_page(std::string what) {
    throw Error(ErrorKind::permanent, "source.bad_data", "a page of BigQuery cannot be read: " + std::move(what));
}

}  // namespace

PageReader::PageReader(std::size_t most_row_bytes) : most_row_bytes_(std::max(most_row_bytes, first_capacity)) {}

void PageReader::step(Walk& walk, char c) {
    ++walk.at;
    if (walk.in_text) {
        if (walk.escaped) {
            walk.escaped = false;
        } else if (c == '\\') {
            walk.escaped = true;
        } else if (c == '"') {
            walk.in_text = false;
        }
        return;
    }
    if (c == '"') {
        walk.in_text = true;
    } else if (c == '{' || c == '[') {
        ++walk.depth;
    } else if (c == '}' || c == ']') {
        if (--walk.depth < 0) {
            bad_page("a bracket closes that was not opened");
        }
    }
}

void PageReader::begin(Pull pull) {
    pull_ = std::move(pull);
    piece_ = {};
    begin_ = filled_ = searched_ = 0;
    walk_ = {};
    any_rows_ = rows_over_ = over_ = false;
    text_.clear();
    envelope_ = {};
    if (read_head()) {
        text_.assign(buffer_.get(), walk_.at);
        begin_ = searched_ = walk_.at;
        walk_ = {begin_, 0, false, false};
        envelope_ = parse_envelope(text_ + "]}");
        return;
    }
    text_.assign(buffer_.get(), filled_);
    rows_over_ = over_ = true;
    begin_ = filled_;
    read_trailer();
}

// Stops behind the bracket of "rows":[ in the outermost object; false at the end of a document that has none.
bool PageReader::read_head() {
    enum class Seen { nothing, name, colon } seen = Seen::nothing;
    std::size_t text_at = 0;
    for (;;) {
        for (; walk_.at >= filled_; need_more()) {
            if (walk_.at > most_envelope) {
                bad_page("more than 8 MiB come before its rows");
            }
        }
        const char c = buffer_[walk_.at];
        const bool was_text = walk_.in_text;
        step(walk_, c);
        if (was_text) {
            const auto text = std::string_view(buffer_.get() + text_at, walk_.at - text_at);
            seen = !walk_.in_text && walk_.depth == 1 && text == "rows\"" ? Seen::name : Seen::nothing;
            continue;
        }
        if (blanks.find(c) != std::string_view::npos) {
            continue;
        }
        if (seen == Seen::colon && c == '[') {
            return true;
        }
        seen = seen == Seen::name && c == ':' ? Seen::colon : Seen::nothing;
        if (c == '"') {
            text_at = walk_.at;
        } else if (walk_.depth == 0) {
            return false;
        }
    }
}

std::optional<Window> PageReader::next() {
    while (!over_) {
        if (!rows_over_) {
            if (const auto comma = last_boundary()) {
                return window(*comma);
            }
            if (const auto end = walk_rows()) {
                return window(*end);
            }
        }
        if (rows_over_) {
            over_ = true;
            text_ += ']';
            read_trailer();
            break;
        }
        need_more();
    }
    return std::nullopt;
}

std::optional<std::size_t> PageReader::last_boundary() {
    const std::string_view area(buffer_.get() + searched_, filled_ - searched_);
    const auto at = area.rfind(boundary);
    if (at == std::string_view::npos) {
        searched_ = std::max(searched_, filled_ - std::min(filled_, boundary.size() - 1));
        return std::nullopt;
    }
    return searched_ + at + 1;
}

// Where the last whole row ends that is there: at a comma or at the end of the list.
std::optional<std::size_t> PageReader::walk_rows() {
    std::optional<std::size_t> comma;
    while (walk_.at < filled_) {
        const char c = buffer_[walk_.at];
        if (walk_.depth == 0 && !walk_.in_text && (c == ']' || c == ',')) {
            if (c == ']') {
                const std::string_view last(buffer_.get() + begin_, walk_.at - begin_);
                if (last.find_first_not_of(blanks) != std::string_view::npos) {
                    rows_over_ = true;
                    return walk_.at;
                }
                end_of_rows(walk_.at);
                return std::nullopt;
            }
            comma = walk_.at;
        }
        step(walk_, c);
    }
    return comma;
}

// Nothing stands before the bracket: right only when the list is empty.
void PageReader::end_of_rows(std::size_t at) {
    if (any_rows_) {
        bad_page("a row is missing behind a comma");
    }
    rows_over_ = true;
    begin_ = at + 1;
}

Window PageReader::window(std::size_t end) {
    if (std::string_view(buffer_.get() + begin_, end - begin_).find_first_not_of(blanks) == std::string_view::npos) {
        bad_page("a row is missing before a comma");
    }
    any_rows_ = true;
    buffer_[begin_ - 1] = '[';  // was a bracket or the comma behind the row before
    buffer_[end] = ']';
    const Window out{buffer_.get() + begin_ - 1, end - begin_ + 2};
    begin_ = searched_ = end + 1;
    walk_ = {begin_, 0, false, false};
    return out;
}

void PageReader::need_more() {
    if (!fill()) {
        incomplete();
    }
}

bool PageReader::fill() {
    if (piece_.empty() && (piece_ = pull_()).empty()) {
        return false;
    }
    if (filled_ == capacity_) {
        make_room();
    }
    const auto count = std::min(piece_.size(), capacity_ - filled_);
    std::memcpy(buffer_.get() + filled_, piece_.data(), count);
    filled_ += count;
    piece_.remove_prefix(count);
    return true;
}

// Moves what is left to the front, or grows. One byte before begin_ stays: window() writes there.
void PageReader::make_room() {
    if (begin_ > 1) {
        const auto shift = begin_ - 1;
        std::memmove(buffer_.get(), buffer_.get() + shift, filled_ - shift);
        begin_ -= shift;
        filled_ -= shift;
        searched_ -= std::min(shift, searched_);
        walk_.at -= shift;
        return;
    }
    if (capacity_ >= most_row_bytes_) {
        throw Error(
            ErrorKind::permanent,
            "source.bad_data",
            fmt::format("a row of BigQuery is larger than {} bytes (`max_row_bytes`)", most_row_bytes_)
        )
            .with_hint("Select fewer or shorter columns, or raise `max_row_bytes`.");
    }
    const auto wanted = capacity_ == 0 ? first_capacity : std::min(2 * capacity_, most_row_bytes_);
    auto larger = std::make_unique_for_overwrite<char[]>(wanted + window_padding);
    std::memset(larger.get() + wanted, 0, window_padding);
    if (filled_ > 0) {
        std::memcpy(larger.get(), buffer_.get(), filled_);
    }
    buffer_ = std::move(larger);
    capacity_ = wanted;
}

// What is in the buffer behind begin_, and the rest of the body.
void PageReader::read_trailer() {
    const auto take = [this](std::string_view more) {
        if (text_.size() + more.size() > most_envelope) {
            bad_page("more than 8 MiB stand around its rows");
        }
        text_ += more;
    };
    take({buffer_.get() + begin_, filled_ - begin_});
    take(std::exchange(piece_, {}));
    for (auto piece = pull_(); !piece.empty(); piece = pull_()) {
        take(piece);
    }
    Walk walk;
    for (const char c : text_) {
        step(walk, c);
    }
    if (walk.depth != 0 || walk.in_text) {
        incomplete();
    }
    envelope_ = parse_envelope(text_);
}

}  // namespace headrace::source::bigquery
