#include "source/bigquery/storage/avro_schema.hpp"

#include "base/error.hpp"
#include "source/bigquery/dom.hpp"

#include <fmt/core.h>

namespace headrace::source::bigquery::storage {
namespace {

constexpr int deepest_avro = 64;  // unions, arrays and records each count; BigQuery's own limit is 15 records

[[noreturn]] void bad_schema(std::string_view what) {
    throw Error(ErrorKind::permanent, "source.bad_data", fmt::format("the Avro schema of the read session: {}", what));
}

[[noreturn]] void unknown_form(const Type& type, std::string_view avro) {
    throw Error(
        ErrorKind::permanent,
        "source.unsupported",
        fmt::format("column `{}`: Storage Read writes {} as `{}`", type.name, type.word, avro)
    )
        .with_hint("`read: rest` reads it.");
}

[[noreturn]] void other_columns(std::string_view what) {
    throw Error(
        ErrorKind::transient, "source.incomplete", fmt::format("the read session is not of this result: {}", what)
    );
}

// "long", or the `type` of {"type":"long",…}.
std::string word_of(const dom::element& avro) {
    std::string_view word;
    if (avro.get(word) == simdjson::SUCCESS) {
        return std::string(word);
    }
    return dom::text(avro, "type");
}

AvroType plan(const Type& type, const dom::element& avro, int depth);

std::vector<AvroType> plan_fields(const Columns& columns, const dom::element& record, int depth) {
    const auto fields = dom::list(record, "fields");
    if (!fields) {
        bad_schema("a record has no fields");
    }
    if (fields->size() != columns.size()) {
        other_columns(fmt::format("{} columns instead of {}", fields->size(), columns.size()));
    }
    std::vector<AvroType> out;
    for (const auto field : *fields) {
        const auto& type = columns[out.size()];
        const auto name = dom::text(field, "name");
        const auto inner = dom::member(field, "type");
        if (name != type.name) {
            other_columns(fmt::format("column `{}` in place of `{}`", name, type.name));
        }
        if (!inner) {
            bad_schema(fmt::format("`{}` has no type", name));
        }
        out.push_back(plan(type, *inner, depth + 1));
    }
    return out;
}

// ["null", T] or [T, "null"].
AvroType plan_union(const Type& type, const dom::array& branches, int depth) {
    if (branches.size() != 2) {
        unknown_form(type, "a union of other than two");
    }
    for (std::uint8_t i = 0; i < 2; ++i) {
        if (word_of(branches.at(i)) == "null") {
            auto out = plan(type, branches.at(1 - i), depth + 1);
            if (out.nullable) {
                unknown_form(type, "a union within a union");
            }
            out.nullable = true;
            out.null_branch = i;
            return out;
        }
    }
    unknown_form(type, "a union without null");
}

// A RANGE is text in columns; its bounds come as a record of two.
AvroType plan_range(const Type& type, const dom::element& avro, int depth) {
    const auto fields = dom::list(avro, "fields");
    if (type.word != "RANGE" || !fields || fields->size() != 2) {
        unknown_form(type, "record");
    }
    AvroType out;
    out.form = Form::range;
    out.type = type;
    for (const auto field : *fields) {
        const auto bound = dom::member(field, "type");
        if (!bound) {
            bad_schema("a bound of a range has no type");
        }
        // The element type is not in `type`: take it from the bound itself.
        auto of = *bound;
        dom::array branches;
        if (of.get(branches) == simdjson::SUCCESS && branches.size() == 2) {
            of = word_of(branches.at(0)) == "null" ? branches.at(1).value() : branches.at(0).value();
        }
        const auto logical = dom::text(of, "logicalType");
        Type inner;
        inner.name = type.name;
        inner.word = type.word;
        inner.shape = logical == "date"               ? Shape::date
                      : logical == "timestamp-micros" ? Shape::integer  // microseconds, as REST writes them
                                                      : Shape::text;
        out.parts.push_back(plan(inner, *bound, depth + 1));
    }
    return out;
}

// What `word` must be for a value of this shape; nullopt: it fits nothing.
std::optional<Form> form_of(const Type& type, std::string_view word, std::string_view logical) {
    const bool whole = word == "long" || word == "int";
    switch (type.shape) {
        case Shape::integer:
            return whole && (logical.empty() || type.word == "RANGE") ? std::optional(Form::integer) : std::nullopt;
        case Shape::floating:
            return word == "double"  ? std::optional(Form::float64)
                   : word == "float" ? std::optional(Form::float32)
                                     : std::nullopt;
        case Shape::decimal:
            return word == "bytes" && logical == "decimal" ? std::optional(Form::decimal) : std::nullopt;
        case Shape::boolean:
            return word == "boolean" ? std::optional(Form::boolean) : std::nullopt;
        case Shape::bytes:
            return word == "bytes" && logical.empty() ? std::optional(Form::bytes) : std::nullopt;
        case Shape::date:
            return whole && logical == "date" ? std::optional(Form::integer) : std::nullopt;
        case Shape::time:
            return whole && logical == "time-micros" ? std::optional(Form::integer) : std::nullopt;
        case Shape::timestamp:
            return whole && logical == "timestamp-micros" ? std::optional(Form::integer) : std::nullopt;
        case Shape::text:
        case Shape::json:
            return word == "string" ? std::optional(Form::text) : std::nullopt;
        case Shape::record:
            break;
    }
    return std::nullopt;
}

AvroType plan(const Type& type, const dom::element& avro, int depth) {
    if (depth > deepest_avro) {
        unknown_form(type, "too deep a nesting");
    }
    dom::array branches;
    if (avro.get(branches) == simdjson::SUCCESS) {
        return plan_union(type, branches, depth);
    }
    const auto word = word_of(avro);
    AvroType out;
    out.type = type;
    if (type.repeated) {
        const auto items = word == "array" ? dom::member(avro, "items") : std::nullopt;
        if (!items) {
            unknown_form(type, word);
        }
        out.form = Form::array;
        out.type.repeated = false;
        out.parts.push_back(plan(out.type, *items, depth + 1));
        return out;
    }
    if (word == "record" && type.shape == Shape::record) {
        out.form = Form::record;
        out.parts = plan_fields(type.fields, avro, depth);
        return out;
    }
    if (word == "record") {
        return plan_range(type, avro, depth);
    }
    if (word.empty()) {  // {"type":{"type":"long"}}
        if (const auto inner = dom::member(avro, "type")) {
            return plan(type, *inner, depth + 1);
        }
    }
    const auto form = form_of(type, word, dom::text(avro, "logicalType"));
    if (!form) {
        unknown_form(type, word);
    }
    out.form = *form;
    if (*form == Form::decimal) {
        const auto scale = dom::number(avro, "scale").value_or(0);
        if (scale > 38) {
            unknown_form(type, "decimal with more than 38 digits behind the point");
        }
        out.scale = static_cast<std::uint8_t>(scale);
    }
    return out;
}

}  // namespace

std::vector<AvroType> lay_beside(const Columns& columns, std::string_view schema) {
    simdjson::dom::parser parser;
    dom::element document;
    if (parser.parse(schema.data(), schema.size()).get(document) != simdjson::SUCCESS ||
        word_of(document) != "record") {
        bad_schema("it is no record");
    }
    return plan_fields(columns, document, 0);
}

}  // namespace headrace::source::bigquery::storage
