// Nulls, dictionaries, and nested values (which become JSON text). See decode.hpp.
#include "base/error.hpp"
#include "data/json.hpp"
#include "source/clickhouse/values.hpp"

#include <cstring>

namespace headrace::source::clickhouse {
namespace {

using data::Buffer;
using data::Column;
using data::Kind;

// LowCardinality: one 64-bit word says how wide the indexes are and what follows.
constexpr std::uint64_t dictionary_version = 1;
constexpr std::uint64_t index_type_mask = 0xff;
constexpr std::uint64_t shared_dictionary = 0x100;
constexpr std::uint64_t own_keys = 0x200;
constexpr std::uint64_t new_dictionary = 0x400;

void read_any(Context& c, const Type& type, std::size_t rows, Column& out);

void read_flags(Context& c, std::size_t rows, Flags& flags) {
    c.budget.spend(rows);
    read_records(c, rows, 1, [&](const char* from, std::size_t, std::size_t run) {
        flags.append(reinterpret_cast<const std::uint8_t*>(from), run);
    });
}

void apply_nulls(const Flags& flags, std::size_t rows, Column& out) {
    const bool fixed = !data::is_var(out.kind());
    for (std::size_t row = 0; row < rows; ++row) {
        if (row % 8 == 0 && row + 8 <= rows) {
            std::uint64_t eight = 0;
            std::memcpy(&eight, flags.data() + row, 8);
            if (eight == 0) {
                row += 7;
                continue;
            }
        }
        if (flags[row] != 0) {
            out.set_null(row);
            if (fixed) {
                out.fixed_data()[row] = 0;  // what stood there is arbitrary
            }
        }
    }
}

// --- dictionaries ----------------------------------------------------------------------------------------------------

void gather_texts(Context& c, const Column& keys, const std::uint64_t* index, std::size_t count, Column& out) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
        total += keys.text(index[i]).size();
    }
    c.budget.spend(total);
    auto& bytes = out.var_bytes();
    const std::size_t before = bytes.size();
    bytes.resize(before + total);
    std::uint32_t* ends = out.var_ends().extend(count);
    char* at = bytes.data() + before;
    for (std::size_t i = 0; i < count; ++i) {
        const auto text = keys.text(index[i]);
        if (text.size() <= 16 && !text.empty()) {
            std::memcpy(at, text.data(), 16);  // both sides are padded
        } else if (!text.empty()) {
            std::memcpy(at, text.data(), text.size());
        }
        at += text.size();
        ends[i] = static_cast<std::uint32_t>(at - bytes.data());
    }
    out.added_var(count);
}

void read_index(
    Context& c,
    std::uint64_t index_type,
    std::size_t rows,
    std::uint64_t most,
    Buffer<std::uint64_t>& index
) {
    const std::size_t width = std::size_t{1} << index_type;
    std::uint64_t highest = 0;
    c.budget.spend(rows * 8);
    index.clear();
    read_records(c, rows, width, [&](const char* from, std::size_t, std::size_t run) {
        std::uint64_t* to = index.extend(run);
        for (std::size_t i = 0; i < run; ++i) {
            std::uint64_t value = 0;
            std::memcpy(&value, from + i * width, width);
            to[i] = value;
            highest |= value >= most ? 1 : 0;
        }
    });
    if (highest != 0) {
        bad_data("an index lies outside of its dictionary");
    }
}

// One granule: keys and the indexes of some rows. Returns how many rows.
std::size_t read_granule(Context& c, const Type& inner, std::size_t rows, Column& out) {
    const std::uint64_t word = c.in.uint64();
    const std::uint64_t index_type = word & index_type_mask;
    if (index_type > 3 || (word & shared_dictionary) != 0 || (word & own_keys) == 0 ||
        (word & ~(index_type_mask | own_keys | new_dictionary)) != 0) {
        bad_data("a dictionary of an unknown form");
    }
    Type key_type = inner;
    key_type.nullable = false;  // key 0 stands for null instead
    const std::uint64_t key_count = c.in.uint64();
    c.budget.spend(key_count);
    Column keys = column_for(key_type);
    read_any(c, key_type, static_cast<std::size_t>(key_count), keys);
    const std::uint64_t count = c.in.uint64();
    if (count > rows || (count == 0) != (rows == 0)) {
        bad_data("a dictionary column with a wrong number of rows");
    }
    Buffer<std::uint64_t> index;
    read_index(c, index_type, static_cast<std::size_t>(count), key_count, index);
    const std::size_t before = out.size();
    if (data::is_var(out.kind())) {
        gather_texts(c, keys, index.data(), index.size(), out);
    } else {
        std::int64_t* to = out.extend_fixed(index.size());
        for (std::size_t i = 0; i < index.size(); ++i) {
            to[i] = keys.int64(index[i]);
        }
    }
    for (std::size_t i = 0; inner.nullable && i < index.size(); ++i) {
        if (index[i] == 0) {
            out.set_null(before + i);
        }
    }
    return index.size();
}

void read_dictionary(Context& c, const Type& type, std::size_t rows, Column& out) {
    if (rows == 0 && c.options.empty_dictionaries && c.in.next_is(own_keys | new_dictionary)) {
        read_granule(c, type.items[0], 0, out);
    }
    for (std::size_t done = 0; done < rows;) {
        done += read_granule(c, type.items[0], rows - done, out);
    }
}

// --- nested values ---------------------------------------------------------------------------------------------------

// Appends texts made by write(bytes, row) as the rows of a json column.
template <class Write>
void render(Context& c, std::size_t rows, Column& out, Write write) {
    auto& bytes = out.var_bytes();
    auto& ends = out.var_ends();
    for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t before = bytes.size();
        write(bytes, row);
        c.budget.spend(bytes.size() - before + 4);
        ends.push_back(static_cast<std::uint32_t>(bytes.size()));
    }
    out.added_var(rows);
}

// Where the items of each row end; they begin where those of the row before end.
void read_offsets(Context& c, std::size_t rows, Buffer<std::uint64_t>& offsets) {
    c.budget.spend(rows * 8);
    read_records(c, rows, 8, [&](const char* from, std::size_t, std::size_t run) {
        std::memcpy(offsets.extend(run), from, run * 8);
    });
    for (std::size_t row = 1; row < rows; ++row) {
        if (offsets[row] < offsets[row - 1]) {
            bad_data("the offsets of an array go backwards");
        }
    }
    if (rows > 0) {
        c.budget.spend(offsets[rows - 1]);
    }
}

void read_array(Context& c, const Type& type, std::size_t rows, Column& out) {
    Buffer<std::uint64_t> offsets;
    read_offsets(c, rows, offsets);
    const std::size_t count = rows == 0 ? 0 : offsets[rows - 1];
    Column items = column_for(type.items[0]);
    read_any(c, type.items[0], count, items);
    std::size_t item = 0;
    render(c, rows, out, [&](Buffer<char>& bytes, std::size_t row) {
        bytes.push_back('[');
        for (const std::size_t first = item; item < offsets[row]; ++item) {
            if (item > first) {
                bytes.push_back(',');
            }
            data::append_json_value(bytes, items, item);
        }
        bytes.push_back(']');
    });
}

void read_map(Context& c, const Type& type, std::size_t rows, Column& out) {
    Buffer<std::uint64_t> offsets;
    read_offsets(c, rows, offsets);
    const std::size_t count = rows == 0 ? 0 : offsets[rows - 1];
    Column keys = column_for(type.items[0]);
    Column values = column_for(type.items[1]);
    read_any(c, type.items[0], count, keys);
    read_any(c, type.items[1], count, values);
    Buffer<char> scratch;
    std::size_t item = 0;
    render(c, rows, out, [&](Buffer<char>& bytes, std::size_t row) {
        bytes.push_back('{');
        for (const std::size_t first = item; item < offsets[row]; ++item) {
            if (item > first) {
                bytes.push_back(',');
            }
            append_key(bytes, scratch, keys, item);
            bytes.push_back(':');
            data::append_json_value(bytes, values, item);
        }
        bytes.push_back('}');
    });
}

void read_tuple(Context& c, const Type& type, std::size_t rows, Column& out) {
    std::vector<Column> columns;
    for (const auto& item : type.items) {
        columns.push_back(column_for(item));
        read_any(c, item, rows, columns.back());
    }
    if (type.items.empty()) {  // one byte per row
        read_records(c, rows, 1, [](const char*, std::size_t, std::size_t) {});
    }
    const bool named = !type.fields.empty();
    render(c, rows, out, [&](Buffer<char>& bytes, std::size_t row) {
        bytes.push_back(named ? '{' : '[');
        for (std::size_t i = 0; i < columns.size(); ++i) {
            if (i > 0) {
                bytes.push_back(',');
            }
            if (named) {
                data::append_json_text(bytes, type.fields[i]);
                bytes.push_back(':');
            }
            data::append_json_value(bytes, columns[i], row);
        }
        bytes.push_back(named ? '}' : ']');
    });
}

void read_any(Context& c, const Type& type, std::size_t rows, Column& out) {
    Flags flags;
    if (type.nullable) {
        read_flags(c, rows, flags);
    }
    Context inner{c.in, c.budget, c.options, type.nullable ? &flags : nullptr};
    switch (type.layout) {
        case Layout::low_cardinality:
            read_dictionary(inner, type, rows, out);
            break;
        case Layout::array:
            read_array(inner, type, rows, out);
            break;
        case Layout::map:
            read_map(inner, type, rows, out);
            break;
        case Layout::tuple:
            read_tuple(inner, type, rows, out);
            break;
        default:
            read_scalar(inner, type, rows, out);
            break;
    }
    if (type.nullable) {
        apply_nulls(flags, rows, out);
    }
}

}  // namespace

Column column_for(const Type& type) {
    return Column(field_of("", type).kind);
}

void append_key(Buffer<char>& bytes, Buffer<char>& scratch, const Column& keys, std::size_t row) {
    if (keys.kind() == Kind::string) {
        data::append_json_value(bytes, keys, row);
        return;
    }
    scratch.clear();
    data::append_plain_value(scratch, keys, row);
    data::append_json_text(bytes, data::view(scratch));
}

void read_prefix(ByteReader& in, const Type& type) {
    if (type.layout == Layout::low_cardinality) {
        if (in.uint64() != dictionary_version) {
            bad_data("a dictionary of an unknown version");
        }
        return;
    }
    for (const auto& item : type.items) {
        read_prefix(in, item);
    }
}

void read_values(
    ByteReader& in,
    Budget& budget,
    const DecodeOptions& options,
    const Type& type,
    std::size_t rows,
    Column& out
) {
    Context c{in, budget, options};
    read_any(c, type, rows, out);
}

}  // namespace headrace::source::clickhouse
