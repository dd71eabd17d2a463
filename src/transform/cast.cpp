// cast and set: columns of another kind, constant columns.
#include "base/error.hpp"
#include "base/json_text.hpp"
#include "data/json.hpp"
#include "transform/convert.hpp"
#include "transform/support.hpp"
#include "transform/transforms.hpp"

#include <fmt/core.h>

#include <optional>

namespace headrace::transform {
namespace {

using data::Column;
using data::Field;
using data::Kind;
using pipeline::OptionKind;
using pipeline::Part;
using pipeline::Place;
using pipeline::Transform;

struct Target {
    std::size_t index;
    Field to;
    Convert convert;
    bool required;  // "int64!": a null is an error too
};

// The start of a value, for a message.
std::string shown(const Column& column, std::size_t row) {
    constexpr std::size_t most = 40;
    data::Buffer<char> text;
    data::append_json_value(text, column, row);
    if (text.size() <= most) {
        return std::string(data::view(text));
    }
    std::string out(data::view(text).substr(0, most));
    while (!is_utf8(out)) {
        out.pop_back();
    }
    return out + "…";
}

// Without the mark of "never null", which is not what is wrong here.
std::string plain_type(Field field) {
    field.nullable = true;
    return data::type_text(field);
}

class Cast final : public Transform {
public:
    explicit Cast(const Part& part) : place_(part.options.place) {
        for (auto& [column, type] : pairs_of(part.options, "value")) {
            const auto field = data::parse_type(type);
            if (!field) {
                invalid(
                    place_,
                    fmt::format(
                        "`{}: {}`: this is no type; the types are boolean, int64, uint64, float64, decimal(p,s), "
                        "string, "
                        "bytes, date, time, timestamp and json",
                        column,
                        type
                    )
                );
            }
            wanted_.emplace_back(column, *field);
        }
        if (wanted_.empty()) {
            invalid(place_, "`cast` needs a map {column: type}");
        }
    }

    data::Schema prepare(const data::Schema& in) override {
        auto out = in;
        targets_.clear();
        for (const auto& [column, type] : wanted_) {
            const auto index = column_index(in, column, place_);
            const auto& from = in.fields[index];
            const auto convert = find_convert(from.kind, type.kind);
            if (convert == nullptr) {
                invalid(
                    place_,
                    fmt::format(
                        "`{}`: there is no exact way from {} to {}",
                        column,
                        data::to_string(from.kind),
                        data::to_string(type.kind)
                    )
                );
            }
            Field to = type;
            to.name = column;
            const bool required = !type.nullable;
            to.nullable = from.nullable && !required;
            out.fields[index] = to;
            targets_.push_back({index, to, convert, required});
        }
        return out;
    }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects& rejects) override {
        for (const auto& target : targets_) {
            const auto& in = batch.column(target.index);
            scratch_.reset(target.to.kind);
            for (std::size_t row = 0; row < in.size(); ++row) {
                if (in.is_null(row)) {
                    if (target.required) {
                        refuse(batch, target, row, "is null", rejects);
                    }
                    scratch_.add_null();
                } else if (!target.convert(in, row, target.to, scratch_)) {
                    refuse(
                        batch,
                        target,
                        row,
                        fmt::format("{} cannot become {} without loss", shown(in, row), plain_type(target.to)),
                        rejects
                    );
                    scratch_.add_null();
                }
            }
            batch.replace(target.index, target.to, std::move(scratch_));
        }
        return 0;
    }

private:
    // Comes back when the row is taken out instead.
    static void refuse(
        const data::Batch& batch,
        const Target& target,
        std::size_t row,
        const std::string& why,
        pipeline::Rejects& rejects
    ) {
        const auto text = fmt::format("column `{}`: {}", target.to.name, why);
        if (!rejects.take(batch, row, "cast", text)) {
            throw Error(
                ErrorKind::permanent, "transform.value", fmt::format("row {}, {}", batch.source_row(row) + 1, text)
            );
        }
    }

    Place place_;
    std::vector<std::pair<std::string, Field>> wanted_;
    std::vector<Target> targets_;
    Column scratch_;
};

bool is_integer_text(std::string_view text) {
    if (text.starts_with('-')) {
        text.remove_prefix(1);
    }
    return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A constant for every row. The kind is that of the column when there is one; else 'quoted' and other words are
// strings, digits are int64, true and false are boolean, null is a null string.
class Set final : public Transform {
public:
    explicit Set(const Part& part) : place_(part.options.place), wanted_(pairs_of(part.options, "value")) {
        if (wanted_.empty()) {
            invalid(place_, "`set` needs a map {column: value}");
        }
    }

    data::Schema prepare(const data::Schema& in) override {
        auto out = in;
        constants_.clear();
        for (const auto& [name, text] : wanted_) {
            auto constant = make(name, text, in.index_of(name), in);
            if (constant.index) {
                out.fields[*constant.index] = constant.field;
            } else if (out.index_of(name)) {
                invalid(place_, fmt::format("`{}` is set twice", name));
            } else {
                out.fields.push_back(constant.field);
            }
            constants_.push_back(std::move(constant));
        }
        return out;
    }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects&) override {
        const std::size_t rows = batch.rows();
        for (const auto& constant : constants_) {
            if (constant.index) {
                scratch_.reset(constant.field.kind);
                fill(scratch_, constant, rows);
                batch.replace(*constant.index, constant.field, std::move(scratch_));
            } else {
                fill(batch.add(constant.field), constant, rows);
            }
        }
        return 0;
    }

private:
    struct Constant {
        std::optional<std::size_t> index;
        Field field;
        Column value;  // one row
    };

    Constant make(
        const std::string& name,
        std::string_view text,
        std::optional<std::size_t> index,
        const data::Schema& in
    ) const {
        Constant out{index, {}, Column()};
        const bool quoted = text.size() >= 2 && text.front() == '\'' && text.back() == '\'';
        const auto literal = quoted ? text.substr(1, text.size() - 2) : text;
        const bool null = !quoted && literal == "null";
        if (index) {
            out.field = in.fields[*index];
        } else {
            out.field.name = name;
            out.field.kind = quoted                                    ? Kind::string
                             : literal == "true" || literal == "false" ? Kind::boolean
                             : is_integer_text(literal)                ? Kind::int64
                                                                       : Kind::string;
        }
        out.field.nullable = null;
        out.value.reset(out.field.kind);
        if (null) {
            out.value.add_null();
            return out;
        }
        Column source(Kind::string);
        source.add_text(literal);
        const auto convert = find_convert(Kind::string, out.field.kind);
        if (convert == nullptr || !convert(source, 0, out.field, out.value)) {
            invalid(
                place_,
                fmt::format("`{}: {}` does not fit the column, which is {}", name, text, data::type_text(out.field))
            );
        }
        return out;
    }

    static void fill(Column& out, const Constant& constant, std::size_t rows) {
        for (std::size_t row = 0; row < rows; ++row) {
            out.append_rows(constant.value, 0, 1);
        }
    }

    Place place_;
    std::vector<std::pair<std::string, std::string>> wanted_;
    std::vector<Constant> constants_;
    Column scratch_;
};

}  // namespace

pipeline::TransformType cast_type() {
    return {
        "cast",
        "Changes the type of columns; a value that would lose something fails the run.",
        {{"value", OptionKind::text_map, true, "", "{column: type}", {}}},
        [](const Part& part) { return std::make_unique<Cast>(part); }};
}

pipeline::TransformType set_type() {
    return {
        "set",
        "Puts one value into every row of a column, which may be new.",
        {{"value",
          OptionKind::text_map,
          true,
          "",
          "{column: value}; quote a text that looks like a number: \"'5'\"",
          {}}},
        [](const Part& part) { return std::make_unique<Set>(part); }};
}

}  // namespace headrace::transform
