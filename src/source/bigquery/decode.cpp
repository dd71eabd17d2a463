#include "source/bigquery/decode.hpp"

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/json.hpp"
#include "source/bigquery/values.hpp"

#include <fmt/core.h>
#include <simdjson.h>

#include <bit>

namespace headrace::source::bigquery {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::size_t most_shown = 40;  // of a value, in a message

[[noreturn]] void bad_json(simdjson::error_code error) {
    throw Error(
        ErrorKind::permanent,
        "source.bad_data",
        fmt::format("a page of BigQuery is no valid JSON: {}", simdjson::error_message(error))
    );
}

template <class T>
T need(simdjson::simdjson_result<T> result) {
    T value;
    if (const auto error = std::move(result).get(value); error != simdjson::SUCCESS) {
        bad_json(error);
    }
    return value;
}

// Without what stands between it and the next row.
std::string_view row_text(const char* begin, const char* end) {
    while (end > begin && end[-1] != '}') {
        --end;
    }
    return {begin, static_cast<std::size_t>(end - begin)};
}

// Calls use(value) for the member `name` of `object`, which must be there exactly once.
template <class Use>
void with_member(ondemand::object object, std::string_view name, Use use) {
    int seen = 0;
    for (auto item : object) {
        auto field = need<ondemand::field>(std::move(item));
        if (field.key().unsafe_is_equal(name)) {
            ++seen;
            use(field.value());
        }
    }
    if (seen != 1) {
        bad_json(seen == 0 ? simdjson::NO_SUCH_FIELD : simdjson::INCORRECT_TYPE);
    }
}

struct Scalar {
    bool null = false;
    std::string_view text;
};

// Text between the quotes, or a bare number or word as it is.
Scalar scalar_of(ondemand::value& value) {
    std::string_view token = value.raw_json_token();
    while (!token.empty() &&
           (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t')) {
        token.remove_suffix(1);
    }
    if (token.empty() || token.front() == '{' || token.front() == '[') {
        bad_json(simdjson::INCORRECT_TYPE);
    }
    if (token.front() != '"') {
        return {token == "null", token};
    }
    if (token.size() >= 2 && token.back() == '"' && std::memchr(token.data(), '\\', token.size()) == nullptr) {
        return {false, token.substr(1, token.size() - 2)};
    }
    return {false, need<std::string_view>(value.get_string())};
}

bool is_null(ondemand::value& value) {
    return std::string_view(value.raw_json_token()).starts_with("null");
}

[[noreturn]] void misfit(const Type& type, std::string_view text) {
    throw Error(
        ErrorKind::permanent,
        "source.bad_data",
        text.size() > most_shown ? fmt::format("`{} …` is no {}", text.substr(0, most_shown), type.word)
                                 : fmt::format("`{}` is no {}", text, type.word)
    );
}

// A list or record as JSON text.
void write_json(const Type& type, ondemand::value value, bool element, data::Buffer<char>& out) {
    const bool list = type.repeated && !element;
    if (is_null(value)) {
        data::append(out, list ? "[]" : "null");
        return;
    }
    if (list) {
        char before = '[';
        for (auto item : need<ondemand::array>(value.get_array())) {
            out.push_back(before);
            before = ',';
            with_member(need<ondemand::object>(item.get_object()), "v", [&](ondemand::value inner) {
                write_json(type, inner, true, out);
            });
        }
        data::append(out, before == '[' ? "[]" : "]");
        return;
    }
    if (type.shape != Shape::record) {
        const auto scalar = scalar_of(value);
        if (!append_json(type, scalar.text, out)) {
            misfit(type, scalar.text);
        }
        return;
    }
    with_member(need<ondemand::object>(value.get_object()), "f", [&](ondemand::value cells) {
        std::size_t i = 0;
        for (auto item : need<ondemand::array>(cells.get_array())) {
            if (i == type.fields.size()) {
                throw Error(ErrorKind::permanent, "source.bad_data", "a record has more values than fields");
            }
            out.push_back(i == 0 ? '{' : ',');
            data::append_json_text(out, type.fields[i].name);
            out.push_back(':');
            with_member(need<ondemand::object>(item.get_object()), "v", [&](ondemand::value inner) {
                write_json(type.fields[i], inner, false, out);
            });
            ++i;
        }
        if (i != type.fields.size()) {
            throw Error(ErrorKind::permanent, "source.bad_data", "a record has fewer values than fields");
        }
        data::append(out, i == 0 ? "{}" : "}");
    });
}

}  // namespace

void PageMark::add(std::uint64_t row_hash) {
    if (rows == 0) {
        first = row_hash;
    }
    uniform = uniform && row_hash == first;
    hash = fold(hash ^ row_hash, 0x8ebc6af09c88c6e3 + rows);
    if (++rows == watch) {
        watched = hash;
    }
}

struct RowDecoder::Machine {
    Columns columns;
    simdjson::ondemand::parser parser;
    data::Buffer<char> scratch;

    void add(const Type& type, ondemand::value value, data::Column& column);
    void row(ondemand::value value, std::uint64_t number, data::Batch& batch);
};

void RowDecoder::Machine::add(const Type& type, ondemand::value value, data::Column& column) {
    const bool nested = type.repeated || type.shape == Shape::record;
    if (nested && (type.repeated || !is_null(value))) {
        scratch.clear();
        write_json(type, value, false, scratch);
        column.add_text(data::view(scratch));
        return;
    }
    const auto scalar = nested ? Scalar{true, {}} : scalar_of(value);
    if (scalar.null) {
        if (type.required) {
            throw Error(ErrorKind::permanent, "source.bad_data", "NULL in a column that is REQUIRED");
        }
        column.add_null();
    } else if (!append_value(type, scalar.text, column)) {
        misfit(type, scalar.text);
    }
}

void RowDecoder::Machine::row(ondemand::value value, std::uint64_t number, data::Batch& batch) {
    std::size_t i = 0;
    try {
        with_member(need<ondemand::object>(value.get_object()), "f", [&](ondemand::value cells) {
            for (auto item : need<ondemand::array>(cells.get_array())) {
                if (i == columns.size()) {
                    throw Error(
                        ErrorKind::permanent, "source.bad_data", fmt::format("more than {} values", columns.size())
                    );
                }
                with_member(need<ondemand::object>(item.get_object()), "v", [&](ondemand::value cell) {
                    add(columns[i], cell, batch.column(i));
                });
                ++i;
            }
        });
        if (i != columns.size()) {
            throw Error(
                ErrorKind::permanent, "source.bad_data", fmt::format("{} values instead of {}", i, columns.size())
            );
        }
    } catch (const Error& error) {
        const auto where = i < columns.size() ? fmt::format(", column `{}`", columns[i].name) : std::string();
        throw Error(error.kind(), error.code(), fmt::format("row {}{}: {}", number + 1, where, error.message()));
    }
}

RowDecoder::RowDecoder(const Columns& columns) : machine_(std::make_unique<Machine>()) {
    machine_->columns = columns;
}

RowDecoder::~RowDecoder() = default;

std::size_t RowDecoder::decode(
    const Window& window,
    std::size_t skip,
    std::uint64_t first_row,
    data::Batch& batch,
    PageMark& mark
) {
    auto& parser = machine_->parser;
    if (parser.capacity() < window.size) {
        if (const auto error = parser.allocate(std::bit_ceil(window.size)); error != simdjson::SUCCESS) {
            bad_json(error);
        }
    }
    auto document = need<ondemand::document>(parser.iterate(window.data, window.size, window.size + window_padding));
    std::size_t rows = 0;
    const char* row_at = nullptr;
    for (auto item : need<ondemand::array>(document.get_array())) {
        auto value = need<ondemand::value>(std::move(item));
        const char* at = value.raw_json_token().data();
        if (row_at != nullptr) {
            mark.add(hash_of(row_text(row_at, at)));
        }
        row_at = at;
        if (rows++ >= skip) {
            machine_->row(value, first_row++, batch);
        }
    }
    if (row_at != nullptr) {
        mark.add(hash_of(row_text(row_at, window.data + window.size - 1)));
    }
    const char* behind = nullptr;
    if (document.current_location().get(behind) == simdjson::SUCCESS) {
        bad_json(simdjson::TRAILING_CONTENT);
    }
    return rows;
}

}  // namespace headrace::source::bigquery
