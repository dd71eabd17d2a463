#include "source/http/page.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "source/http/refusal.hpp"
#include "source/http/values.hpp"

#include <fmt/core.h>
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace headrace::source::http {
namespace {

constexpr std::size_t first_capacity = 128 * 1024;
constexpr std::size_t most_around = std::size_t{1} << 20;

[[noreturn]] void cut_short() {
    throw Error(ErrorKind::transient, "source.incomplete", "the answer ends in the middle of its JSON text");
}

}  // namespace

PageReader::PageReader(RowDecoder& decoder, std::vector<Step> rows, bool single_as_list, PageBounds bounds)
    : decoder_(decoder), path_(std::move(rows)), single_as_list_(single_as_list), bounds_(bounds) {}

void PageReader::begin(Pull pull) {
    pull_ = std::move(pull);
    piece_ = {};
    begin_ = filled_ = 0;
    received_ = 0;
    ended_ = false;
    first_ = due_ = true;
    phase_ = Phase::head;
    around_.clear();
    if (!buffer_) {
        make_room();
    }
    buffer_[0] = '\0';
}

bool PageReader::next() {
    if (phase_ == Phase::head) {
        while (!find_rows()) {
            need_more();
        }
    }
    while (phase_ != Phase::over) {
        if (!advance()) {
            read_tail();
            break;
        }
        if (const char* end = decoder_.scan(begin_at(), end_at())) {
            begin_ = static_cast<std::size_t>(end - buffer_.get());
            first_ = due_ = false;
            return true;
        }
        need_more();
    }
    return false;
}

// False: more text is needed; it is begun anew then, which costs little: a head is short.
bool PageReader::find_rows() {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    const std::string_view begin(begin_at(), std::min(filled_, byte_order_mark.size()));
    if (begin.size() < byte_order_mark.size() && byte_order_mark.starts_with(begin)) {
        return false;
    }
    const std::size_t skipped = begin == byte_order_mark ? begin.size() : 0;
    Scan scan(begin_at() + skipped, end_at());
    const bool found = scan.space() && descend(scan, 0);
    if (!found && scan.state() == Scan::State::more) {
        if (filled_ > most_around) {
            throw Error(ErrorKind::permanent, "source.limit", "more than 1 MiB comes before the rows of an answer");
        }
        return false;
    }
    if (!found && scan.state() == Scan::State::good) {
        no_rows();
    }
    if (!found) {
        bad_page(scan);
    }
    phase_ = *scan.at == '[' ? Phase::rows : Phase::single;
    const auto head = static_cast<std::size_t>(scan.at - buffer_.get());
    keep({buffer_.get() + skipped, head - skipped});
    begin_ = head + (phase_ == Phase::rows ? 1 : 0);
    return true;
}

// Stops at the list (or at the lone object). False with a good state: it is not there.
bool PageReader::descend(Scan& scan, std::size_t step) {
    if (step == path_.size()) {
        return *scan.at == '[' || (*scan.at == '{' && single_as_list_);
    }
    if (*scan.at != '{') {
        return false;
    }
    ++scan.at;
    if (!scan.space()) {
        return false;
    }
    while (*scan.at != '}') {
        bool escaped = false;
        const char* name = scan.at;
        if (!scan.text(escaped)) {
            return false;
        }
        std::string space;
        const auto key = scalar_text({{name, static_cast<std::size_t>(scan.at - name)}, escaped}, space);
        if (!(scan.space() && scan.sign(':') && scan.space())) {
            return false;
        }
        if (key == path_[step].name) {
            return descend(scan, step + 1);
        }
        if (!scan.value() || !scan.space()) {
            return false;
        }
        if (*scan.at != '}' && (!scan.sign(',') || !scan.space())) {
            return false;
        }
    }
    return false;
}

void PageReader::no_rows() const {
    std::string way;
    for (const auto& step : path_) {
        way += "/" + step.name;
    }
    throw Error(
        ErrorKind::permanent,
        "source.bad_data",
        fmt::format(
            "there is no list of rows at {} of the answer, which begins: {}",
            way.empty() ? "the top" : "`" + way + "`",
            one_line({buffer_.get(), filled_}, 200)
        )
    );
}

void PageReader::bad_page(const Scan& scan) const {
    if (scan.state() == Scan::State::deep) {
        throw Error(ErrorKind::permanent, "source.limit", "an answer is nested deeper than 100 levels");
    }
    throw Error(
        ErrorKind::permanent,
        "source.bad_data",
        fmt::format(
            "the answer is no valid JSON ({} at `{}`); it begins: {}",
            scan.why(),
            one_line({scan.at, std::min<std::size_t>(static_cast<std::size_t>(end_at() - scan.at), 20)}, 20),
            one_line({buffer_.get(), std::min<std::size_t>(filled_, 200)}, 200)
        )
    );
}

bool PageReader::advance() {
    if (phase_ == Phase::single) {
        return first_;
    }
    for (;;) {
        Scan scan(begin_at(), end_at());
        const bool more = !scan.space();
        begin_ = static_cast<std::size_t>(scan.at - buffer_.get());  // blanks are not kept
        if (more) {
            need_more();
            continue;
        }
        if (*scan.at == ']' && (first_ || !due_)) {
            return false;
        }
        if (due_) {
            return true;
        }
        if (!scan.sign(',')) {
            bad_page(scan);
        }
        ++begin_;
        due_ = true;
    }
}

// As much again as is there: a large row is not looked through anew for every piece.
void PageReader::need_more() {
    const auto wanted = 2 * (filled_ - begin_);
    if (!fill()) {
        cut_short();
    }
    while (filled_ - begin_ < wanted && fill()) {
    }
}

bool PageReader::fill() {
    if (piece_.empty() && !ended_) {
        piece_ = pull_();
        ended_ = piece_.empty();
        received_ += piece_.size();
        if (received_ > bounds_.page_bytes) {
            throw Error(
                ErrorKind::permanent,
                "source.limit",
                fmt::format("an answer is larger than {} bytes (`max_page_bytes`)", bounds_.page_bytes)
            );
        }
    }
    if (piece_.empty()) {
        return false;
    }
    if (filled_ == capacity_) {
        make_room();
    }
    const auto count = std::min(piece_.size(), capacity_ - filled_);
    std::memcpy(buffer_.get() + filled_, piece_.data(), count);
    filled_ += count;
    buffer_[filled_] = '\0';
    piece_.remove_prefix(count);
    return true;
}

// Moves what is left to the front, or grows.
void PageReader::make_room() {
    if (begin_ > 0) {
        std::memmove(buffer_.get(), begin_at(), filled_ - begin_);
        filled_ -= begin_;
        begin_ = 0;
        return;
    }
    if (capacity_ >= std::max(bounds_.row_bytes, first_capacity)) {
        throw Error(
            ErrorKind::permanent,
            "source.limit",
            fmt::format("a row is larger than {} bytes (`max_row_bytes`)", bounds_.row_bytes)
        );
    }
    const auto wanted =
        capacity_ == 0 ? first_capacity : std::min(2 * capacity_, std::max(bounds_.row_bytes, first_capacity));
    auto larger = std::make_unique_for_overwrite<char[]>(wanted + scan_padding);
    std::memset(larger.get() + wanted, 0, scan_padding);
    if (filled_ > 0) {
        std::memcpy(larger.get(), buffer_.get(), filled_);
    }
    buffer_ = std::move(larger);
    capacity_ = wanted;
}

void PageReader::keep(std::string_view text) {
    if (around_.size() + text.size() > most_around) {
        throw Error(ErrorKind::permanent, "source.limit", "more than 1 MiB stands around the rows of an answer");
    }
    around_ += text;
}

// What is left of the document, to the end of the body.
void PageReader::read_tail() {
    keep(phase_ == Phase::rows ? "[" : "[]");  // the bracket that closes the list follows
    for (;;) {
        keep({begin_at(), filled_ - begin_});
        begin_ = filled_ = 0;
        if (!fill()) {
            break;
        }
    }
    phase_ = Phase::over;
    around_.append(scan_padding, '\0');
    Scan scan(around_.data(), around_.data() + around_.size() - scan_padding);
    const bool whole = scan.space() && (scan.value() || scan.state() == Scan::State::good);
    if (!whole && scan.state() == Scan::State::more) {
        cut_short();
    }
    const auto size = around_.size() - scan_padding;
    const bool more_behind =
        whole && !trimmed({scan.at, size - static_cast<std::size_t>(scan.at - around_.data())}).empty();
    if (!whole || more_behind) {
        if (whole) {
            scan.fail("text behind its end");
        }
        throw Error(
            ErrorKind::permanent, "source.bad_data", fmt::format("the answer is no valid JSON: {}", scan.why())
        );
    }
    around_.resize(size);
}

std::optional<std::string> PageReader::value_at(std::string_view pointer) const {
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    simdjson::dom::element found;
    if (parser.parse(around_).get(document) != simdjson::SUCCESS ||
        document.at_pointer(pointer).get(found) != simdjson::SUCCESS || found.is_null()) {
        return std::nullopt;
    }
    std::string_view text;
    return found.get(text) == simdjson::SUCCESS ? std::string(text) : std::string(simdjson::minify(found));
}

}  // namespace headrace::source::http
