// `key: "user:{user_id}"` of `as: keys`: literal text and columns. `{{` and `}}` are braces, for a hash tag:
// "{{users}}:user:{user_id}" makes {users}:user:42.
#pragma once

#include "data/batch.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace headrace::sink::redis_sink {

class KeyTemplate {
public:
    // Throws pipeline.invalid: no column, an unclosed brace, or no literal text in front (rows must not be able to name
    // any key of the server).
    static KeyTemplate parse(std::string_view text);

    // Every column a `*`: "user:*". Names the output, its meta hash and its pointer.
    std::string pattern() const;
    // The hash tag that every row key has, "" when none (or when it holds a column).
    std::string tag() const;

    // Looks the columns up; throws sink.invalid.
    void bind(const data::Schema& schema);
    // Appends the key of a row. Throws sink.invalid when a column is null.
    void append(data::Buffer<char>& out, const data::Batch& batch, std::size_t row) const;

private:
    struct Piece {
        std::string literal;  // in front of the column
        std::string column;   // "" only in the last piece
        std::size_t index = 0;
    };

    std::vector<Piece> pieces_;
};

// The column of that name; throws sink.invalid naming `option` and the columns there are.
std::size_t column_of(const data::Schema& schema, std::string_view name, std::string_view option);

}  // namespace headrace::sink::redis_sink
