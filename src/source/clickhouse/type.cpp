#include "source/clickhouse/type.hpp"

#include "base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace headrace::source::clickhouse {
namespace {

constexpr int most_levels = 32;
constexpr std::size_t most_type_shown = 120;

struct Simple {
    std::string_view name;
    Layout layout;
};

constexpr Simple simple_types[] = {
    {"Int8", Layout::int8},       {"Int16", Layout::int16},        {"Int32", Layout::int32},
    {"Int64", Layout::int64},     {"UInt8", Layout::uint8},        {"UInt16", Layout::uint16},
    {"UInt32", Layout::uint32},   {"UInt64", Layout::uint64},      {"Int128", Layout::int128},
    {"Int256", Layout::int256},   {"UInt128", Layout::uint128},    {"UInt256", Layout::uint256},
    {"Float32", Layout::float32}, {"Float64", Layout::float64},    {"BFloat16", Layout::bfloat16},
    {"Bool", Layout::boolean},    {"String", Layout::string},      {"Date", Layout::date},
    {"Date32", Layout::date32},   {"DateTime", Layout::date_time}, {"DateTime32", Layout::date_time},
    {"Time", Layout::time},       {"UUID", Layout::uuid},          {"IPv4", Layout::ipv4},
    {"IPv6", Layout::ipv6},       {"Nothing", Layout::nothing},
};

struct Unfit {};  // thrown inside the parser only: the text is no type that is read here

class Parser {
public:
    explicit Parser(std::string_view text) : rest_(text) {}

    Type whole() {
        auto type = parse(0);
        spaces();
        if (!rest_.empty()) {
            throw Unfit();
        }
        return type;
    }

private:
    void spaces() {
        while (!rest_.empty() && rest_.front() == ' ') {
            rest_.remove_prefix(1);
        }
    }

    bool take(char c) {
        spaces();
        if (rest_.empty() || rest_.front() != c) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    void demand(char c) {
        if (!take(c)) {
            throw Unfit();
        }
    }

    std::string_view word() {
        spaces();
        std::size_t length = 0;
        while (length < rest_.size() &&
               (std::isalnum(static_cast<unsigned char>(rest_[length])) != 0 || rest_[length] == '_')) {
            ++length;
        }
        const auto out = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return out;
    }

    std::int64_t number() {
        spaces();
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc()) {
            throw Unfit();
        }
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return value;
    }

    int number(int least, int most) {
        const auto value = number();
        if (value < least || value > most) {
            throw Unfit();
        }
        return static_cast<int>(value);
    }

    // 'text' or `text` with backslash escapes.
    std::string quoted(char quote) {
        demand(quote);
        std::string out;
        for (;;) {
            if (rest_.empty()) {
                throw Unfit();
            }
            const char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == quote) {
                return out;
            }
            out += c == '\\' ? escaped() : c;
        }
    }

    char escaped() {
        if (rest_.empty()) {
            throw Unfit();
        }
        const char c = rest_.front();
        rest_.remove_prefix(1);
        constexpr std::string_view letters = "bfrnt0av";
        constexpr std::string_view meant("\b\f\r\n\t\0\a\v", 8);
        const auto at = letters.find(c);
        return at == std::string_view::npos ? c : meant[at];
    }

    Type of(Layout layout) {
        Type type;
        type.layout = layout;
        return type;
    }

    Type parse(int level) {
        if (level > most_levels) {
            throw Unfit();
        }
        const auto name = word();
        const auto found = std::find_if(std::begin(simple_types), std::end(simple_types), [&](const Simple& s) {
            return s.name == name;
        });
        if (found != std::end(simple_types)) {
            auto type = of(found->layout);
            if (type.layout == Layout::date_time && take('(')) {  // the zone is for texts only: the value is UTC
                quoted('\'');
                demand(')');
            }
            return type;
        }
        if (name.starts_with("Interval")) {
            return of(Layout::int64);
        }
        if (name == "Point" || name == "Ring" || name == "LineString" || name == "Polygon" ||
            name == "MultiLineString" || name == "MultiPolygon") {
            return geo(name);
        }
        demand('(');
        auto type = with_arguments(name, level + 1);
        demand(')');
        return type;
    }

    Type with_arguments(std::string_view name, int level) {
        if (name == "Nullable") {
            auto type = parse(level);
            if (type.nullable || type.layout == Layout::low_cardinality || type.layout == Layout::array ||
                type.layout == Layout::map) {
                throw Unfit();
            }
            type.nullable = true;
            return type;
        }
        if (name == "LowCardinality" || name == "Array") {
            auto type = of(name == "Array" ? Layout::array : Layout::low_cardinality);
            type.items.push_back(parse(level));
            if (type.layout == Layout::low_cardinality && type.items[0].layout >= Layout::low_cardinality) {
                throw Unfit();
            }
            return type;
        }
        if (name == "Map") {
            auto type = of(Layout::map);
            type.items.push_back(parse(level));
            demand(',');
            type.items.push_back(parse(level));
            return type;
        }
        if (name == "Tuple") {
            return tuple(level);
        }
        if (name == "Nested") {
            auto type = of(Layout::array);
            type.items.push_back(tuple(level));
            return type;
        }
        if (name == "SimpleAggregateFunction") {
            aggregate_name();
            demand(',');
            return parse(level);
        }
        return scalar_with_arguments(name);
    }

    // "sum", or "groupArrayArray(10)".
    void aggregate_name() {
        word();
        if (take('(')) {
            while (!take(')')) {
                number();
                take(',');
            }
        }
    }

    Type scalar_with_arguments(std::string_view name) {
        if (name == "FixedString") {
            auto type = of(Layout::fixed_string);
            type.width = static_cast<std::size_t>(number(1, 0xffffff));
            return type;
        }
        if (name == "DateTime64" || name == "Time64") {
            auto type = of(name == "Time64" ? Layout::time64 : Layout::date_time64);
            type.scale = number(0, 9);
            if (take(',')) {
                spaces();
                quoted('\'');
            }
            return type;
        }
        if (name == "Decimal") {
            const int precision = number(1, 76);
            const int scale = take(',') ? number(0, precision) : 0;
            return decimal(precision, scale);
        }
        for (const auto& [word, precision] :
             {std::pair("Decimal32", 9), {"Decimal64", 18}, {"Decimal128", 38}, {"Decimal256", 76}}) {
            if (name == word) {
                return decimal(precision, number(0, precision));
            }
        }
        if (name == "Enum8" || name == "Enum16") {
            return enumeration(name == "Enum8" ? Layout::enum8 : Layout::enum16);
        }
        throw Unfit();
    }

    Type decimal(int precision, int scale) {
        auto type =
            of(precision <= 9    ? Layout::decimal32
               : precision <= 18 ? Layout::decimal64
               : precision <= 38 ? Layout::decimal128
                                 : Layout::decimal256);
        type.precision = precision;
        type.scale = scale;
        return type;
    }

    Type enumeration(Layout layout) {
        auto type = of(layout);
        do {
            spaces();
            auto name = quoted('\'');
            demand('=');
            type.names.emplace_back(number(), std::move(name));
        } while (take(','));
        std::sort(type.names.begin(), type.names.end());
        return type;
    }

    // Tuple(UInt8, String), Tuple(a UInt8, `b c` String), Tuple().
    Type tuple(int level) {
        auto type = of(Layout::tuple);
        spaces();
        if (rest_.starts_with(')')) {
            return type;
        }
        do {
            if (auto name = field_name()) {
                type.fields.push_back(std::move(*name));
            }
            type.items.push_back(parse(level));
        } while (take(','));
        if (!type.fields.empty() && type.fields.size() != type.items.size()) {
            throw Unfit();
        }
        return type;
    }

    // A name before the type: something in back quotes, or a word that a further word follows.
    std::optional<std::string> field_name() {
        spaces();
        if (rest_.starts_with('`')) {
            return quoted('`');
        }
        const auto before = rest_;
        const auto name = word();
        if (!name.empty() && rest_.starts_with(' ') && rest_.size() > 1 &&
            (std::isalpha(static_cast<unsigned char>(rest_[1])) != 0)) {
            return std::string(name);
        }
        rest_ = before;
        return std::nullopt;
    }

    Type geo(std::string_view name) {
        auto type = of(Layout::tuple);
        type.items = {of(Layout::float64), of(Layout::float64)};
        const int levels = name == "Point"                          ? 0
                           : name == "Ring" || name == "LineString" ? 1
                           : name == "MultiPolygon"                 ? 3
                                                                    : 2;
        for (int i = 0; i < levels; ++i) {
            auto outer = of(Layout::array);
            outer.items.push_back(std::move(type));
            type = std::move(outer);
        }
        return type;
    }

    std::string_view rest_;
};

data::Kind kind_of(const Type& type) {
    using data::Kind;
    switch (type.layout) {
        case Layout::uint64:
            return Kind::uint64;
        case Layout::float32:
        case Layout::float64:
        case Layout::bfloat16:
            return Kind::float64;
        case Layout::boolean:
            return Kind::boolean;
        case Layout::int128:
        case Layout::int256:
        case Layout::uint128:
        case Layout::uint256:
        case Layout::decimal32:
        case Layout::decimal64:
        case Layout::decimal128:
        case Layout::decimal256:
            return Kind::decimal;
        case Layout::date:
        case Layout::date32:
            return Kind::date;
        case Layout::time:
        case Layout::time64:
            return Kind::time;
        case Layout::date_time:
        case Layout::date_time64:
            return Kind::timestamp;
        case Layout::string:
        case Layout::fixed_string:
        case Layout::enum8:
        case Layout::enum16:
        case Layout::uuid:
        case Layout::ipv4:
        case Layout::ipv6:
        case Layout::nothing:
            return Kind::string;
        case Layout::low_cardinality:
            return kind_of(type.items[0]);
        case Layout::array:
        case Layout::tuple:
        case Layout::map:
            return Kind::json;
        default:
            return Kind::int64;
    }
}

std::string advice(std::string_view text) {
    if (text.starts_with("AggregateFunction")) {
        return "finish it in the query with finalizeAggregation(column)";
    }
    if (text.starts_with("JSON") || text.starts_with("Object")) {
        return "use toJSONString(column) in the query";
    }
    return "cast it in the query, e.g. toString(column)";
}

}  // namespace

const std::string* Type::name_of(std::int64_t value) const {
    const auto it = std::lower_bound(names.begin(), names.end(), value, [](const auto& entry, std::int64_t v) {
        return entry.first < v;
    });
    return it != names.end() && it->first == value ? &it->second : nullptr;
}

Type parse_type(std::string_view text, std::string_view column) {
    try {
        return Parser(text).whole();
    } catch (const Unfit&) {
        throw Error(
            ErrorKind::permanent,
            "source.unsupported",
            fmt::format(
                "column `{}` has the type {}, which is not supported",
                column.substr(0, most_type_shown),
                text.substr(0, most_type_shown)
            )
        )
            .with_hint(advice(text));
    }
}

data::Field field_of(std::string name, const Type& type) {
    data::Field field;
    field.name = std::move(name);
    field.kind = kind_of(type);
    const bool dictionary = type.layout == Layout::low_cardinality;
    field.nullable = type.nullable || type.layout == Layout::nothing || (dictionary && type.items[0].nullable);
    field.precision = static_cast<std::uint8_t>(type.precision);
    field.scale = static_cast<std::uint8_t>(type.precision > 0 ? type.scale : 0);
    return field;
}

}  // namespace headrace::source::clickhouse
