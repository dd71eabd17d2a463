// Takes one answer apart while it arrives: the rows of a list in it, one after another, and what stands around the
// list. Nothing but a window of the text is kept, so that memory is bounded by the largest row and not by the page. One
// thread. The memory stays for the next page.
//
// Errors: source.bad_data (permanent): no JSON, no list where it should be; source.limit (permanent): a row, a page or
// its surroundings above their bounds; source.incomplete (transient): the body ended within the document; those of
// row.hpp; whatever `pull` throws.
#pragma once

#include "source/http/row.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::source::http {

struct PageBounds {
    std::size_t row_bytes = std::size_t{1} << 20;
    std::uint64_t page_bytes = std::uint64_t{1} << 30;  // decompressed
};

class PageReader {
public:
    // The next piece of the body, valid until the next call; empty = the body is complete.
    using Pull = std::function<std::string_view()>;

    // `rows`: the way to the list, members only; empty: the document is the list. `decoder` outlives it.
    PageReader(RowDecoder& decoder, std::vector<Step> rows, bool single_as_list, PageBounds bounds);

    void begin(Pull pull);
    // True: the decoder holds the next row. False: the page is over and whole.
    bool next();

    // After next() returned false: the scalar at this pointer of the document around the rows, strings without quotes;
    // nullopt when it is not there or null.
    std::optional<std::string> value_at(std::string_view pointer) const;

private:
    enum class Phase { head, rows, single, over };

    bool find_rows();
    bool descend(Scan& scan, std::size_t step);
    bool advance();  // over a comma to the next row; false: the list is over
    void need_more();
    bool fill();
    void make_room();
    void read_tail();
    void keep(std::string_view text);
    [[noreturn]] void bad_page(const Scan& scan) const;
    [[noreturn]] void no_rows() const;

    const char* begin_at() const { return buffer_.get() + begin_; }

    const char* end_at() const { return buffer_.get() + filled_; }

    RowDecoder& decoder_;
    std::vector<Step> path_;
    bool single_as_list_;
    PageBounds bounds_;
    Pull pull_;
    std::string_view piece_;  // pulled and not yet in the buffer
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;  // without padding
    std::size_t begin_ = 0;     // what is before it is done with
    std::size_t filled_ = 0;
    std::uint64_t received_ = 0;
    bool ended_ = false;  // the body
    bool first_ = true;   // row of this page
    bool due_ = true;     // a row: at the beginning and behind a comma
    Phase phase_ = Phase::head;
    std::string around_;  // the document without the rows
};

}  // namespace headrace::source::http
