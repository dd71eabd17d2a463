// The data of one column of plain values, by type. See decode.hpp.
#include "base/error.hpp"
#include "source/clickhouse/text.hpp"
#include "source/clickhouse/values.hpp"

#include <bit>
#include <cstring>
#include <limits>

namespace headrace::source::clickhouse {
namespace {

using data::Column;

template <class T>
T load(const char* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Fixed kinds whose values need a conversion that cannot fail.
template <class T, class Convert>
void read_fixed(Context& c, std::size_t rows, Column& out, Convert convert) {
    c.budget.spend(std::uint64_t{rows} * 8);
    read_records(c, rows, sizeof(T), [&](const char* from, std::size_t, std::size_t run) {
        std::int64_t* to = out.extend_fixed(run);
        for (std::size_t i = 0; i < run; ++i) {
            to[i] = convert(load<T>(from + i * sizeof(T)));
        }
    });
}

template <class T>
void read_integers(Context& c, std::size_t rows, Column& out) {
    read_fixed<T>(c, rows, out, [](T value) { return static_cast<std::int64_t>(value); });
}

void read_words(Context& c, std::size_t rows, Column& out) {  // 8 bytes as they are
    c.budget.spend(std::uint64_t{rows} * 8);
    read_records(c, rows, 8, [&](const char* from, std::size_t, std::size_t run) {
        std::memcpy(out.extend_fixed(run), from, run * 8);
    });
}

constexpr std::int64_t ten_to(int power) {
    std::int64_t value = 1;
    for (int i = 0; i < power; ++i) {
        value *= 10;
    }
    return value;
}

// Ticks of 10^-digits seconds (T is what they are stored in) to microseconds, exactly.
template <class T>
void read_ticks(Context& c, int digits, std::size_t rows, Column& out) {
    c.budget.spend(std::uint64_t{rows} * 8);
    const std::int64_t factor = digits <= 6 ? ten_to(6 - digits) : 1;
    const std::int64_t divisor = digits > 6 ? ten_to(digits - 6) : 1;
    read_records(c, rows, sizeof(T), [&](const char* from, std::size_t row, std::size_t run) {
        std::int64_t* to = out.extend_fixed(run);
        for (std::size_t i = 0; i < run; ++i) {
            const std::int64_t ticks = load<T>(from + i * sizeof(T));
            const bool lost = ticks % divisor != 0;
            if ((__builtin_mul_overflow(ticks / divisor, factor, &to[i]) || lost) && !c.is_null(row + i)) {
                bad_data(
                    lost ? "a time has parts of a microsecond, which would be lost; use toDateTime64(column, 6) in the "
                           "query"
                         : "a time lies outside of what 64 bits of microseconds can hold"
                );
            }
        }
    });
}

// Var kinds: room for `most` bytes per value of `width` bytes; write(from, at) writes one value and returns its end.
template <class Write>
void read_texts(Context& c, std::size_t rows, std::size_t width, std::size_t most, Column& out, Write write) {
    c.budget.spend(std::uint64_t{rows} * (4 + width));
    read_records(c, rows, width, [&](const char* from, std::size_t row, std::size_t run) {
        constexpr std::size_t step = 1024;  // bounds the room taken for the longest text
        for (std::size_t done = 0; done < run; done += step) {
            const std::size_t count = std::min(step, run - done);
            auto& bytes = out.var_bytes();
            const std::size_t before = bytes.size();
            bytes.reserve(before + count * most);
            std::uint32_t* ends = out.var_ends().extend(count);
            char* at = bytes.data() + before;
            for (std::size_t i = 0; i < count; ++i) {
                at = write(from + (done + i) * width, at, row + done + i);
                ends[i] = static_cast<std::uint32_t>(at - bytes.data());
            }
            const auto written = static_cast<std::size_t>(at - bytes.data()) - before;
            c.budget.spend(written > count * width ? written - count * width : 0);
            bytes.resize(before + written);
            out.added_var(count);
        }
    });
}

void read_enum(Context& c, const Type& type, std::size_t rows, Column& out) {
    std::size_t longest = 0;
    for (const auto& [value, name] : type.names) {
        longest = std::max(longest, name.size());
    }
    const bool wide = type.layout == Layout::enum16;
    read_texts(c, rows, wide ? 2 : 1, longest, out, [&](const char* from, char* at, std::size_t row) {
        const std::int64_t value = wide ? load<std::int16_t>(from) : load<std::int8_t>(from);
        const auto* name = type.name_of(value);
        if (name == nullptr) {
            if (!c.is_null(row)) {
                bad_data("the value " + std::to_string(value) + " has no name in the enum");
            }
            return at;
        }
        return std::copy(name->begin(), name->end(), at);
    });
}

void read_fixed_strings(Context& c, std::size_t width, std::size_t rows, Column& out) {
    std::size_t left = 0;
    for (std::size_t row = 0; row < rows; ++row) {
        auto& bytes = out.var_bytes();
        c.budget.spend(width + 4);
        for (left = width; left > 0;) {  // may be 16 MB: taken as it comes
            c.in.need_some();
            const std::size_t part = std::min(left, c.in.available());
            bytes.append(c.in.data(), part);
            c.in.skip(part);
            left -= part;
        }
        const std::size_t begin = row == 0 ? 0 : out.var_ends()[row - 1];
        while (bytes.size() > begin && bytes[bytes.size() - 1] == '\0') {
            bytes.resize(bytes.size() - 1);
        }
        out.var_ends().push_back(static_cast<std::uint32_t>(bytes.size()));
    }
    out.added_var(rows);
}

void read_one_string(Context& c, Column& out) {
    std::uint64_t left = c.in.varint();
    c.budget.spend(left < std::numeric_limits<std::uint32_t>::max() ? left + 4 : left);
    auto& bytes = out.var_bytes();
    while (left > 0) {
        c.in.need_some();
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, c.in.available()));
        bytes.append(c.in.data(), part);
        c.in.skip(part);
        left -= part;
    }
    out.var_ends().push_back(static_cast<std::uint32_t>(bytes.size()));
}

// As many strings of `rows` as lie whole in the window; the room for all of them is taken once.
std::size_t read_string_run(Context& c, std::size_t rows, Column& out) {
    constexpr std::size_t most_window = 64 * 1024;
    auto& bytes = out.var_bytes();
    const std::size_t window = std::min(c.in.available(), most_window);
    const std::size_t most_rows = std::min(rows, window);
    const std::size_t before = bytes.size();
    const std::size_t ends_before = out.var_ends().size();
    bytes.reserve(before + window);
    std::uint32_t* ends = out.var_ends().extend(most_rows);
    const char* from = c.in.data();
    const char* const end = from + window;
    char* const base = bytes.data();
    char* at = base + before;
    std::size_t row = 0;
    for (; row < most_rows && from < end; ++row) {
        std::size_t length = static_cast<unsigned char>(*from);
        std::size_t header = 1;
        if (length >= 0x80) {
            if (end - from < 2 || (from[1] & 0x80) != 0) {
                break;  // 16 KiB and more, or cut
            }
            length = (length & 0x7f) | static_cast<std::size_t>(from[1]) << 7;
            header = 2;
        }
        const auto left = static_cast<std::size_t>(end - from) - header;
        if (length > left) {
            break;
        }
        from += header;
        if (length <= 16 && left >= 16) {  // reads on within the window, writes on into the padding
            std::memcpy(at, from, 16);
        } else {
            std::memcpy(at, from, length);
        }
        from += length;
        at += length;
        ends[row] = static_cast<std::uint32_t>(at - base);
    }
    c.budget.spend(static_cast<std::size_t>(at - base) - before + row * 4);
    bytes.resize(static_cast<std::size_t>(at - base));
    out.var_ends().resize(ends_before + row);
    c.in.skip(static_cast<std::size_t>(from - c.in.data()));
    return row;
}

void read_strings(Context& c, std::size_t rows, Column& out) {
    for (std::size_t row = 0; row < rows;) {
        c.in.need_some();
        const std::size_t run = read_string_run(c, rows - row, out);
        row += run;
        if (run == 0) {
            read_one_string(c, out);
            ++row;
        }
    }
    out.added_var(rows);
}

void read_nothing(Context& c, std::size_t rows, Column& out) {
    c.budget.spend(std::uint64_t{rows} * 4);
    read_records(c, rows, 1, [&](const char*, std::size_t, std::size_t run) {
        for (std::size_t i = 0; i < run; ++i) {
            out.add_null();
        }
    });
}

template <std::size_t Bytes, bool Signed>
void read_wide(Context& c, int scale, std::size_t rows, Column& out) {
    read_texts(c, rows, Bytes, wide_text_max, out, [&](const char* from, char* at, std::size_t) {
        return write_wide<Bytes, Signed>(at, from, scale);
    });
}

// Only values that are numbers, times or texts; lists and dictionaries are in decode_nested.cpp.
void read_number(Context& c, const Type& type, std::size_t rows, Column& out) {
    switch (type.layout) {
        case Layout::int8:
            return read_integers<std::int8_t>(c, rows, out);
        case Layout::int16:
            return read_integers<std::int16_t>(c, rows, out);
        case Layout::int32:
        case Layout::date32:
            return read_integers<std::int32_t>(c, rows, out);
        case Layout::uint8:
            return read_integers<std::uint8_t>(c, rows, out);
        case Layout::uint16:
        case Layout::date:
            return read_integers<std::uint16_t>(c, rows, out);
        case Layout::uint32:
            return read_integers<std::uint32_t>(c, rows, out);
        case Layout::boolean:
            return read_fixed<std::uint8_t>(c, rows, out, [](std::uint8_t v) { return v != 0 ? 1 : 0; });
        case Layout::float32:
            return read_fixed<float>(c, rows, out, [](float v) { return std::bit_cast<std::int64_t>(widen(v)); });
        case Layout::bfloat16:
            return read_fixed<std::uint16_t>(c, rows, out, [](std::uint16_t v) {
                return std::bit_cast<std::int64_t>(static_cast<double>(std::bit_cast<float>(std::uint32_t{v} << 16)));
            });
        case Layout::date_time:
            return read_fixed<std::uint32_t>(c, rows, out, [](std::uint32_t v) {
                return static_cast<std::int64_t>(v * std::uint64_t{1'000'000});
            });
        case Layout::time:
            return read_fixed<std::int32_t>(c, rows, out, [](std::int32_t v) { return std::int64_t{v} * 1'000'000; });
        case Layout::date_time64:
        case Layout::time64:
            return read_ticks<std::int64_t>(c, type.scale, rows, out);
        default:
            return read_words(c, rows, out);
    }
}

}  // namespace

void bad_data(std::string message) {
    throw Error(ErrorKind::permanent, "source.bad_data", std::move(message));
}

void read_scalar(Context& c, const Type& type, std::size_t rows, Column& out) {
    switch (type.layout) {
        case Layout::string:
            return read_strings(c, rows, out);
        case Layout::fixed_string:
            return read_fixed_strings(c, type.width, rows, out);
        case Layout::enum8:
        case Layout::enum16:
            return read_enum(c, type, rows, out);
        case Layout::uuid:
            return read_texts(c, rows, 16, 36, out, [](const char* from, char* at, std::size_t) {
                return write_uuid(at, from);
            });
        case Layout::ipv4:
            return read_texts(c, rows, 4, 15, out, [](const char* from, char* at, std::size_t) {
                return write_ipv4(at, from);
            });
        case Layout::ipv6:
            return read_texts(c, rows, 16, 46, out, [](const char* from, char* at, std::size_t) {
                return write_ipv6(at, from);
            });
        case Layout::nothing:
            return read_nothing(c, rows, out);
        case Layout::decimal32:
            return read_wide<4, true>(c, type.scale, rows, out);
        case Layout::decimal64:
            return read_wide<8, true>(c, type.scale, rows, out);
        case Layout::decimal128:
        case Layout::int128:
            return read_wide<16, true>(c, type.scale, rows, out);
        case Layout::decimal256:
        case Layout::int256:
            return read_wide<32, true>(c, type.scale, rows, out);
        case Layout::uint128:
            return read_wide<16, false>(c, 0, rows, out);
        case Layout::uint256:
            return read_wide<32, false>(c, 0, rows, out);
        default:
            return read_number(c, type, rows, out);
    }
}

}  // namespace headrace::source::clickhouse
