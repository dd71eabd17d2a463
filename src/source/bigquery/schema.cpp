#include "source/bigquery/schema.hpp"

namespace headrace::source::bigquery {
namespace {

data::Kind kind_of(Shape shape) {
    switch (shape) {
        case Shape::integer:
            return data::Kind::int64;
        case Shape::floating:
            return data::Kind::float64;
        case Shape::decimal:
            return data::Kind::decimal;
        case Shape::boolean:
            return data::Kind::boolean;
        case Shape::bytes:
            return data::Kind::bytes;
        case Shape::date:
            return data::Kind::date;
        case Shape::time:
            return data::Kind::time;
        case Shape::timestamp:
            return data::Kind::timestamp;
        case Shape::json:
        case Shape::record:
            return data::Kind::json;
        case Shape::text:
            break;
    }
    return data::Kind::string;
}

}  // namespace

data::Field field_of(const Type& type) {
    data::Field field;
    field.name = type.name;
    field.kind = type.repeated ? data::Kind::json : kind_of(type.shape);
    field.nullable = !type.required && !type.repeated;  // a list that is NULL comes as an empty one
    if (field.kind == data::Kind::decimal) {
        field.precision = type.precision;
        field.scale = type.scale;
    }
    return field;
}

data::Schema schema_of(const Columns& columns) {
    data::Schema out;
    for (const auto& column : columns) {
        out.fields.push_back(field_of(column));
    }
    return out;
}

}  // namespace headrace::source::bigquery
