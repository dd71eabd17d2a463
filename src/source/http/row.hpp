// A row of JSON into columns: one pass over its text, nothing built. Members that no column asks for are only checked.
// A member that is missing or null is null. Of a name that comes twice the last one counts. One thread; memory stays.
//
// Errors: source.bad_data (permanent): text that is not JSON or not UTF-8, a value that does not fit its column, null
// in a column that may not be; source.limit (permanent): nested deeper than 100.
#pragma once

#include "base/hash.hpp"
#include "data/batch.hpp"
#include "source/http/columns.hpp"
#include "source/http/scan.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::source::http {

class RowDecoder {
public:
    // `single_as_list`: where a list is expected, an object is a list of one. `key`: a column of integers that tells
    // rows apart.
    RowDecoder(Columns columns, bool single_as_list, std::optional<std::size_t> key = std::nullopt);

    // Takes the row at `begin`; [begin, end) as Scan wants it. Returns where it ends, nullptr when the text ends
    // before. The text must stay for append().
    const char* scan(const char* begin, const char* end);

    // Of the row that was scanned last.
    std::string_view text() const { return text_; }

    std::uint64_t hash() const { return hash_of(text_); }

    // Throws source.bad_data when there is none.
    std::int64_t key() const;
    void append(data::Batch& batch) const;

    std::uint64_t number = 0;  // of the next row, from 1; for messages

private:
    struct Element {  // what is taken out of a list: by place, or by the value of a member
        std::optional<std::size_t> index;
        std::string key, value;
        std::size_t node = 0;
        std::uint64_t found_in = 0;  // the row in which it was found already
    };

    struct Member {
        std::string name;
        Scan::Expected quoted;  // with its colon
        std::size_t node = 0;
        std::size_t follower = 0;  // which one came after it last
    };

    struct NamedToken {
        std::string_view name;
        Token value;
    };

    struct Node {
        std::vector<Member> members;
        std::vector<Element> elements;
        std::vector<std::size_t> columns;  // that take this value
        std::size_t last = 0;              // member that came
        bool selects = false;

        bool plain() const { return members.empty() && elements.empty(); }
    };

    std::size_t child(std::size_t node, const Step& step);
    bool take(Scan& scan, std::size_t node, int level);
    bool take_object(Scan& scan, std::size_t node, int level);
    bool take_list(Scan& scan, std::size_t node, int level);
    bool take_element(Scan& scan, std::size_t node, std::size_t index, int level);
    bool select(Scan& scan, std::size_t node, std::size_t index, int level);
    bool take_found(std::size_t node, std::size_t from);
    const Member* expected_member(Scan& scan, std::size_t node);
    const Member* member(std::size_t node, std::string_view name, bool escaped);
    [[noreturn]] void refuse(const Scan& scan, const char* begin) const;
    void wrong_shape(std::size_t node, const char* wanted, std::string_view found) const;
    void append_value(std::size_t column, data::Column& to) const;

    Columns columns_;
    bool single_as_list_;
    std::optional<std::size_t> key_;
    std::vector<Node> nodes_;
    std::vector<Token> values_;  // of this row, by column; empty: it did not come
    std::string_view text_;
    std::uint64_t row_ = 0;
    std::vector<std::size_t> chosen_;  // by the lists that are being gone through, a stack
    std::vector<NamedToken> found_;    // members of what they are chosen from, a stack
    mutable std::string scratch_;
};

}  // namespace headrace::source::http
