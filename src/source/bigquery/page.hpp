// Takes one page (the body of jobs.getQueryResults) apart while it arrives: windows of whole rows, and the envelope
// around them. Nothing but one window is kept, so that memory is bounded by the largest row and not by the page.
//
// Every window is a complete JSON list "[row,row]" and the envelope a complete document, so a JSON parser that accepts
// all of them has accepted the page. One thread. The memory stays for the next page.
//
// Errors: source.bad_data (permanent): a row above the limit, an envelope above 8 MiB, text behind the end;
// source.incomplete (transient): the body ended within the document; whatever `pull` throws.
#pragma once

#include "source/bigquery/answer.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::source::bigquery {

// A list of rows, followed by `padding` bytes that may be read.
struct Window {
    const char* data = nullptr;
    std::size_t size = 0;
};

inline constexpr std::size_t window_padding = 64;

class PageReader {
public:
    // The next piece of the body, valid until the next call; empty = the body is complete.
    using Pull = std::function<std::string_view()>;

    explicit PageReader(std::size_t most_row_bytes);

    // Reads up to the first row. What is known by then (perhaps the page token) is in envelope().
    void begin(Pull pull);
    // The next rows, valid until the next call. nullopt: the page is over, and envelope() is all of it.
    std::optional<Window> next();

    const Envelope& envelope() const { return envelope_; }

private:
    struct Walk {  // through JSON text, byte by byte
        std::size_t at = 0;
        int depth = 0;
        bool in_text = false;
        bool escaped = false;
    };

    static void step(Walk& walk, char c);
    bool read_head();  // false: there are no rows
    void need_more();
    bool fill();  // false: the body is over
    void make_room();
    std::optional<std::size_t> last_boundary();
    std::optional<std::size_t> walk_rows();
    Window window(std::size_t end);
    void end_of_rows(std::size_t at);
    void read_trailer();

    std::size_t most_row_bytes_;
    Pull pull_;
    std::string_view piece_;  // pulled and not yet in the buffer
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;  // without padding
    std::size_t begin_ = 0;     // first byte of the row that is next
    std::size_t filled_ = 0;
    std::size_t searched_ = 0;  // no boundary begins before
    Walk walk_;                 // from begin_
    bool any_rows_ = false;
    bool rows_over_ = false;  // the list has ended
    bool over_ = false;
    std::string text_;  // of the envelope
    Envelope envelope_;
};

}  // namespace headrace::source::bigquery
