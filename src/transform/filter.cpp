// filter: keeps the rows for which a condition is true. Null compares to nothing: the result is unknown, and unknown is
// not true (the rules of SQL). Evaluated column by column: one byte per row.
#include "data/decimal.hpp"
#include "data/time_text.hpp"
#include "transform/filter_parser.hpp"
#include "transform/support.hpp"
#include "transform/transforms.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace headrace::transform {
namespace {

using data::Batch;
using data::Column;
using data::Decimal;
using data::Kind;
using pipeline::OptionKind;
using pipeline::Part;
using pipeline::Place;
using Type = Expression::Type;

// Truth values, chosen so that "and" is min and "or" is max.
constexpr std::uint8_t no = 0;
constexpr std::uint8_t unknown = 1;
constexpr std::uint8_t yes = 2;

using Truths = std::vector<std::uint8_t>;

// How a value stands to another: -1, 0, 1; `apart` for NaN, which is unequal to everything.
constexpr int apart = 2;

bool holds(Op op, int order) {
    switch (op) {
        case Op::equal:
            return order == 0;
        case Op::unequal:
            return order != 0;
        case Op::less:
            return order == -1;
        case Op::less_equal:
            return order == -1 || order == 0;
        case Op::greater:
            return order == 1;
        default:
            return order == 1 || order == 0;
    }
}

template <class T>
int order_of(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

int order_of_doubles(double a, double b) {
    return std::isnan(a) || std::isnan(b) ? apart : order_of(a, b);
}

// A literal made ready for the kind of its column.
struct Value {
    __int128 floor = 0;     // integers: the largest whole number that is not above the literal
    bool fraction = false;  // integers: the literal lies above floor
    double number = 0;      // float64
    Decimal decimal;        // decimal
    std::string text;       // string, bytes
};

// Both 64-bit kinds in one type.
__int128 integer_at(const Column& column, std::size_t row) {
    return column.kind() == Kind::uint64 ? static_cast<__int128>(column.uint64(row))
                                         : static_cast<__int128>(column.int64(row));
}

int order_to_value(const Column& column, std::size_t row, const Value& value) {
    switch (column.kind()) {
        case Kind::float64:
            return order_of_doubles(column.float64(row), value.number);
        case Kind::decimal: {
            const auto number = data::parse_decimal(column.text(row));
            return number ? data::compare(*number, value.decimal) : apart;
        }
        case Kind::string:
        case Kind::bytes: {
            const int order = column.text(row).compare(value.text);
            return order_of(order, 0);
        }
        default: {
            const int order = order_of(integer_at(column, row), value.floor);
            return order == 0 && value.fraction ? -1 : order;
        }
    }
}

int order_to_column(const Column& a, const Column& b, std::size_t row) {
    switch (a.kind()) {
        case Kind::float64:
            return order_of_doubles(a.float64(row), b.float64(row));
        case Kind::decimal: {
            const auto left = data::parse_decimal(a.text(row));
            const auto right = data::parse_decimal(b.text(row));
            return left && right ? data::compare(*left, *right) : apart;
        }
        case Kind::string:
        case Kind::bytes:
            return order_of(a.text(row).compare(b.text(row)), 0);
        default:
            return order_of(integer_at(a, row), integer_at(b, row));
    }
}

// An expression whose columns and values are known.
struct Bound {
    Type type = Type::truth;
    Op op = Op::equal;
    std::size_t column = 0;
    std::size_t other = 0;
    std::vector<Value> values;
    std::vector<Bound> parts;
    Truths truths;  // of the last batch; the memory is kept
};

bool is_integer(Kind kind) {
    return kind == Kind::int64 || kind == Kind::uint64;
}

class Binder {
public:
    Binder(const data::Schema& schema, const Place& place) : schema_(schema), place_(place) {}

    Bound bind(const Expression& e) const {
        Bound out;
        out.type = e.type;
        out.op = e.op;
        if (e.type == Type::both || e.type == Type::either || e.type == Type::negated) {
            for (const auto& part : e.parts) {
                out.parts.push_back(bind(*part));
            }
            return out;
        }
        out.column = column_index(schema_, e.column, place_);
        const auto& field = schema_.fields[out.column];
        if (e.type == Type::truth && field.kind != Kind::boolean) {
            invalid(
                place_,
                fmt::format(
                    "filter: `{}` alone is no condition, because it is {} and not boolean",
                    e.column,
                    data::to_string(field.kind)
                )
            );
        }
        if (e.type == Type::compare_column) {
            out.other = column_index(schema_, e.other, place_);
            const auto other = schema_.fields[out.other].kind;
            if (field.kind == Kind::json || (field.kind != other && !(is_integer(field.kind) && is_integer(other)))) {
                invalid(
                    place_,
                    fmt::format(
                        "filter: `{}` ({}) and `{}` ({}) cannot be compared; cast one of them before",
                        e.column,
                        data::to_string(field.kind),
                        e.other,
                        data::to_string(other)
                    )
                );
            }
        }
        for (const auto& literal : e.literals) {
            out.values.push_back(value_for(field, literal));
        }
        return out;
    }

private:
    [[noreturn]] void misfit(const data::Field& field, const Literal& literal, std::string_view wanted) const {
        invalid(
            place_,
            fmt::format(
                "filter: `{}` is {}: compare it with {}, not with {}",
                field.name,
                data::to_string(field.kind),
                wanted,
                literal.text
            )
        );
    }

    Value value_for(const data::Field& field, const Literal& literal) const {
        switch (field.kind) {
            case Kind::int64:
            case Kind::uint64:
            case Kind::float64:
            case Kind::decimal:
                return number_for(field, literal);
            case Kind::boolean: {
                if (literal.type != Literal::Type::boolean) {
                    misfit(field, literal, "true or false");
                }
                Value out;
                out.floor = literal.text == "true" ? 1 : 0;
                return out;
            }
            case Kind::string:
            case Kind::bytes: {
                if (literal.type != Literal::Type::text) {
                    misfit(field, literal, "a text in 'quotes'");
                }
                Value out;
                out.text = literal.text;
                return out;
            }
            case Kind::json:
                invalid(place_, fmt::format("filter: `{}` is json and can only be tested with `is null`", field.name));
            default:
                return time_for(field, literal);
        }
    }

    Value number_for(const data::Field& field, const Literal& literal) const {
        const auto number = literal.type == Literal::Type::number ? data::parse_decimal(literal.text) : std::nullopt;
        if (!number) {
            misfit(field, literal, "a number");
        }
        Value out;
        out.decimal = *number;
        out.fraction = !number->is_integer();
        if (field.kind == Kind::float64) {
            const auto text = data::to_text(*number);
            std::from_chars(text.data(), text.data() + text.size(), out.number);
            return out;
        }
        constexpr __int128 beyond = static_cast<__int128>(1) << 100;  // outside of all 64-bit integers
        if (number->whole_digits() > 20) {
            out.floor = number->negative ? -beyond : beyond;
            return out;
        }
        for (const char c : data::to_text(*number)) {
            if (c == '.') {
                break;
            }
            if (c != '-') {
                out.floor = out.floor * 10 + (c - '0');
            }
        }
        out.floor = number->negative ? -out.floor - (out.fraction ? 1 : 0) : out.floor;
        return out;
    }

    Value time_for(const data::Field& field, const Literal& literal) const {
        std::optional<std::int64_t> value;
        std::string_view wanted = "a text such as '2026-11-21'";
        if (field.kind == Kind::date) {
            value = data::parse_date(literal.text);
        } else if (field.kind == Kind::time) {
            wanted = "a text such as '18:30:00'";
            value = data::parse_time(literal.text);
        } else {
            wanted = "a text such as '2026-11-21T18:30:00Z'";
            value = data::parse_timestamp(literal.text);
        }
        if (!value || literal.type != Literal::Type::text) {
            misfit(field, literal, wanted);
        }
        Value out;
        out.floor = *value;
        return out;
    }

    const data::Schema& schema_;
    const Place& place_;
};

std::uint8_t truth_at(const Bound& e, const Batch& batch, std::size_t row) {
    const auto& column = batch.column(e.column);
    const bool null = column.is_null(row);
    switch (e.type) {
        case Type::is_null:
            return null ? yes : no;
        case Type::truth:
            return null ? unknown : column.boolean(row) ? yes : no;
        case Type::compare_column: {
            const auto& other = batch.column(e.other);
            return null || other.is_null(row) ? unknown : holds(e.op, order_to_column(column, other, row)) ? yes : no;
        }
        case Type::compare_value:
            return null ? unknown : holds(e.op, order_to_value(column, row, e.values[0])) ? yes : no;
        default:
            if (null) {
                return unknown;
            }
            for (const auto& value : e.values) {
                if (order_to_value(column, row, value) == 0) {
                    return yes;
                }
            }
            return no;
    }
}

void evaluate(Bound& e, const Batch& batch) {
    const std::size_t rows = batch.rows();
    e.truths.resize(rows);
    for (auto& part : e.parts) {
        evaluate(part, batch);
    }
    for (std::size_t row = 0; row < rows; ++row) {
        if (e.type == Type::both) {
            e.truths[row] = std::min(e.parts[0].truths[row], e.parts[1].truths[row]);
        } else if (e.type == Type::either) {
            e.truths[row] = std::max(e.parts[0].truths[row], e.parts[1].truths[row]);
        } else if (e.type == Type::negated) {
            e.truths[row] = static_cast<std::uint8_t>(yes - e.parts[0].truths[row]);
        } else {
            e.truths[row] = truth_at(e, batch, row);
        }
    }
}

class Filter final : public pipeline::Transform {
public:
    explicit Filter(const Part& part)
        : place_(part.options.place), expression_(parse_filter(part.options.get("value"), place_)) {}

    data::Schema prepare(const data::Schema& in) override {
        bound_ = Binder(in, place_).bind(*expression_);
        return in;
    }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects&) override {
        evaluate(bound_, batch);
        std::uint64_t out = 0;
        for (auto& truth : bound_.truths) {
            truth = truth == yes ? 1 : 0;
            out += 1U - truth;
        }
        if (out > 0) {
            batch.filter(bound_.truths.data());
        }
        return out;
    }

private:
    Place place_;
    std::unique_ptr<Expression> expression_;
    Bound bound_;
};

}  // namespace

pipeline::TransformType filter_type() {
    return {
        "filter",
        "Keeps the rows for which a condition is true.",
        {{"value", OptionKind::text, true, "", "A condition such as: price > 0 and city is not null", {}}},
        [](const Part& part) { return std::make_unique<Filter>(part); }};
}

}  // namespace headrace::transform
