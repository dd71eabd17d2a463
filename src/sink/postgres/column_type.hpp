// Which Postgres type a column of ours becomes, and which existing ones can take it without loss. Pure.
//
//   boolean → boolean        int64 → bigint (also integer, smallint, numeric)      uint64 → numeric(20) (also bigint …)
//   float64 → double precision      decimal(p,s) → numeric(p,s), decimal → numeric      string → text (also varchar)
//   bytes → bytea      date → date      time → time      timestamp → timestamptz      json → jsonb (also json)
#pragma once

#include "data/schema.hpp"

#include <optional>
#include <string>

namespace headrace::sink::postgres_sink {

// How a value travels in a binary COPY.
enum class Wire { boolean, int2, int4, int8, numeric, float8, text, bytea, date, time, timestamp, json, jsonb };

// The type of a table's column as pg_attribute has it.
struct ColumnType {
    std::string base;  // pg_type.typname: "int8", "numeric"
    int modifier = -1;
};

// Digits that numeric(p,s) holds; nullopt for numeric without limits.
struct NumericLimits {
    int whole = 0;
    int scale = 0;
};

std::optional<NumericLimits> numeric_limits(const ColumnType& type);

// For a new column, as SQL.
std::string sql_type(const data::Field& field);
ColumnType type_for(const data::Field& field);

// nullopt: values of the field may not fit, whatever they are. Narrower integers and numerics are checked by value.
std::optional<Wire> wire_for(const data::Field& field, const ColumnType& type);

}  // namespace headrace::sink::postgres_sink
