#include "sink/redis/key_template.hpp"

#include "base/error.hpp"
#include "data/json.hpp"
#include "pipeline/redis_space.hpp"

#include <fmt/core.h>

namespace headrace::sink::redis_sink {
namespace {

Error bad_template(std::string_view text, std::string_view why) {
    return Error(ErrorKind::invalid, "pipeline.invalid", fmt::format("`key: {}`: {}", text, why))
        .with_hint("Write it like `key: \"user:{user_id}\"`; a brace itself is written twice.");
}

}  // namespace

KeyTemplate KeyTemplate::parse(std::string_view text) {
    KeyTemplate out;
    Piece piece;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool twice = i + 1 < text.size() && text[i + 1] == c;
        if ((c == '{' || c == '}') && twice) {
            piece.literal += c;
            ++i;
        } else if (c == '}') {
            throw bad_template(text, "a `}` without its `{`");
        } else if (c == '{') {
            const auto end = text.find('}', i);
            if (end == std::string_view::npos || end == i + 1) {
                throw bad_template(text, end == i + 1 ? "`{}` names no column" : "a `{` without its `}`");
            }
            piece.column = text.substr(i + 1, end - i - 1);
            out.pieces_.push_back(std::exchange(piece, {}));
            i = end;
        } else {
            piece.literal += c;
        }
    }
    if (out.pieces_.empty()) {
        throw bad_template(text, "`as: keys` needs a column in it: every row would have the same key");
    }
    if (out.pieces_.front().literal.empty()) {
        throw bad_template(text, "it must begin with a text of its own, so that rows cannot overwrite foreign keys");
    }
    out.pieces_.push_back(std::move(piece));
    return out;
}

std::string KeyTemplate::pattern() const {
    std::string out;
    for (const auto& piece : pieces_) {
        out += piece.literal;
        out += piece.column.empty() ? "" : "*";
    }
    return out;
}

std::string KeyTemplate::tag() const {
    return std::string(pipeline::hash_tag(pieces_.front().literal));
}

void KeyTemplate::bind(const data::Schema& schema) {
    for (auto& piece : pieces_) {
        if (!piece.column.empty()) {
            piece.index = column_of(schema, piece.column, "key");
        }
    }
}

void KeyTemplate::append(data::Buffer<char>& out, const data::Batch& batch, std::size_t row) const {
    for (const auto& piece : pieces_) {
        data::append(out, piece.literal);
        if (piece.column.empty()) {
            return;
        }
        const auto& column = batch.column(piece.index);
        if (column.is_null(row)) {
            throw Error(
                ErrorKind::permanent,
                "sink.invalid",
                fmt::format("row {}: column {} is null and cannot be in a key", batch.first_row + row, piece.column)
            );
        }
        data::append_plain_value(out, column, row);
    }
}

std::size_t column_of(const data::Schema& schema, std::string_view name, std::string_view option) {
    const auto index = schema.index_of(name);
    if (!index) {
        std::string known;
        for (const auto& field : schema.fields) {
            known += (known.empty() ? "" : ", ") + field.name;
        }
        throw Error(
            ErrorKind::permanent,
            "sink.invalid",
            fmt::format("{}: there is no column `{}`; the columns are {}", option, name, known)
        );
    }
    return *index;
}

}  // namespace headrace::sink::redis_sink
