// RowBinaryWithNamesAndTypes: the values of a row stand one behind the other. See decode.hpp.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/clickhouse/values.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace headrace::source::clickhouse {
namespace {

using data::Buffer;
using data::Column;

void read_value(Context& c, const Type& type, Column& out);

// Appends the text that `write` makes as one value of a json column.
template <class Write>
void add_json(Context& c, Column& out, Write write) {
    auto& bytes = out.var_bytes();
    const std::size_t before = bytes.size();
    write(bytes);
    c.budget.spend(bytes.size() - before + 4);
    if (bytes.size() > std::numeric_limits<std::uint32_t>::max()) {
        bad_data("a column of one batch is larger than 4 GiB");
    }
    out.var_ends().push_back(static_cast<std::uint32_t>(bytes.size()));
    out.added_var(1);
}

std::size_t read_count(Context& c) {
    const auto count = c.in.varint();
    c.budget.spend(count);
    return static_cast<std::size_t>(count);
}

void read_array_value(Context& c, const Type& type, Column& out) {
    const auto count = read_count(c);
    Column items = column_for(type.items[0]);
    for (std::size_t i = 0; i < count; ++i) {
        read_value(c, type.items[0], items);
    }
    add_json(c, out, [&](Buffer<char>& bytes) {
        bytes.push_back('[');
        for (std::size_t i = 0; i < count; ++i) {
            if (i > 0) {
                bytes.push_back(',');
            }
            data::append_json_value(bytes, items, i);
        }
        bytes.push_back(']');
    });
}

void read_map_value(Context& c, const Type& type, Column& out) {
    const auto count = read_count(c);
    Column keys = column_for(type.items[0]);
    Column values = column_for(type.items[1]);
    for (std::size_t i = 0; i < count; ++i) {
        read_value(c, type.items[0], keys);
        read_value(c, type.items[1], values);
    }
    Buffer<char> scratch;
    add_json(c, out, [&](Buffer<char>& bytes) {
        bytes.push_back('{');
        for (std::size_t i = 0; i < count; ++i) {
            if (i > 0) {
                bytes.push_back(',');
            }
            append_key(bytes, scratch, keys, i);
            bytes.push_back(':');
            data::append_json_value(bytes, values, i);
        }
        bytes.push_back('}');
    });
}

void read_tuple_value(Context& c, const Type& type, Column& out) {
    std::vector<Column> items;
    for (const auto& item : type.items) {
        items.push_back(column_for(item));
        read_value(c, item, items.back());
    }
    const bool named = !type.fields.empty();
    add_json(c, out, [&](Buffer<char>& bytes) {
        bytes.push_back(named ? '{' : '[');
        for (std::size_t i = 0; i < items.size(); ++i) {
            if (i > 0) {
                bytes.push_back(',');
            }
            if (named) {
                data::append_json_text(bytes, type.fields[i]);
                bytes.push_back(':');
            }
            data::append_json_value(bytes, items[i], 0);
        }
        bytes.push_back(named ? '}' : ']');
    });
}

// Appends one value. Behind a null stands nothing; a dictionary is not one here.
void read_value(Context& c, const Type& type, Column& out) {
    if (type.nullable && c.in.byte() != 0) {
        c.budget.spend(8);
        out.add_null();
        return;
    }
    switch (type.layout) {
        case Layout::low_cardinality:
            return read_value(c, type.items[0], out);
        case Layout::array:
            return read_array_value(c, type, out);
        case Layout::map:
            return read_map_value(c, type, out);
        case Layout::tuple:
            return read_tuple_value(c, type, out);
        default:
            return read_scalar(c, type, 1, out);
    }
}

bool takes_no_bytes(const Type& type) {
    return !type.nullable && type.layout == Layout::tuple &&
           std::all_of(type.items.begin(), type.items.end(), takes_no_bytes);
}

}  // namespace

void RowBinaryDecoder::read_head() {
    const auto columns = in_.varint();
    if (columns == 0 || columns > most_columns) {
        throw Error(ErrorKind::permanent, "source.bad_data", fmt::format("a result of {} columns", columns));
    }
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < columns; ++i) {
        names.push_back(in_.text(most_name));
    }
    for (auto& name : names) {
        add_column(std::move(name), in_.text(most_type));
    }
    if (std::all_of(types_.begin(), types_.end(), takes_no_bytes)) {
        throw Error(
            ErrorKind::permanent,
            "source.unsupported",
            "rows of empty tuples alone take no bytes in RowBinary: they cannot be counted"
        )
            .with_hint("Select one more column.");
    }
    head_read_ = true;
}

bool RowBinaryDecoder::next_block(data::Batch& out) {
    if (!head_read_) {
        if (in_.at_end()) {
            return false;
        }
        read_head();
    }
    out.reset(schema_);
    budget_.begin();
    Context c{in_, budget_, options_};
    const std::size_t most_rows = std::max<std::size_t>(1, data::target_batch_bytes / (8 * types_.size()));
    const auto begin = in_.position();
    while (out.rows() < most_rows && in_.position() - begin < data::target_batch_bytes && !in_.at_end()) {
        for (std::size_t i = 0; i < types_.size(); ++i) {
            try {
                read_value(c, types_[i], out.column(i));
            } catch (Error& error) {
                error.within(fmt::format("column `{}` ({})", schema_.fields[i].name, type_texts_[i].substr(0, 80)));
                throw;
            }
        }
    }
    blocks_ += out.rows() > 0 ? 1 : 0;
    return out.rows() > 0;
}

}  // namespace headrace::source::clickhouse
