#include "source/bigquery/answer.hpp"

#include "source/bigquery/dom.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace headrace::source::bigquery {
namespace {

constexpr int deepest = 32;  // BigQuery's own limit is 15

[[noreturn]] void bad_document(std::string what) {
    throw Error(ErrorKind::permanent, "source.bad_data", "BigQuery's answer cannot be read: " + std::move(what));
}

// Both the names of the wire and those of SQL.
constexpr std::array<std::pair<std::string_view, Shape>, 19> shapes = {{
    {"INTEGER", Shape::integer},    {"INT64", Shape::integer},       {"FLOAT", Shape::floating},
    {"FLOAT64", Shape::floating},   {"NUMERIC", Shape::decimal},     {"DECIMAL", Shape::decimal},
    {"BIGNUMERIC", Shape::decimal}, {"BIGDECIMAL", Shape::decimal},  {"BOOLEAN", Shape::boolean},
    {"BOOL", Shape::boolean},       {"BYTES", Shape::bytes},         {"DATE", Shape::date},
    {"TIME", Shape::time},          {"TIMESTAMP", Shape::timestamp}, {"JSON", Shape::json},
    {"RECORD", Shape::record},      {"STRUCT", Shape::record},       {"STRING", Shape::text},
    {"DATETIME", Shape::text},  // has no zone: a timestamp would invent one
}};

void read_decimal(const dom::element& field, Type& type) {
    const bool big = type.word.starts_with("BIG");
    const auto precision = dom::number(field, "precision");
    const auto scale = dom::number(field, "scale");
    if (precision && *precision <= 77 && scale.value_or(0) <= *precision) {
        type.precision = static_cast<std::uint8_t>(*precision);
        type.scale = static_cast<std::uint8_t>(scale.value_or(0));
    } else {
        type.precision = big ? 77 : 38;
        type.scale = big ? 38 : 9;
    }
}

Columns parse_fields(const dom::array& list, int depth);

Type parse_field(const dom::element& field, int depth) {
    Type type;
    type.name = dom::text(field, "name");
    type.word = dom::text(field, "type");
    if (type.word.empty()) {
        bad_document(fmt::format("column `{}` has no type", type.name));
    }
    const auto known =
        std::find_if(shapes.begin(), shapes.end(), [&](const auto& entry) { return entry.first == type.word; });
    type.shape = known == shapes.end() ? Shape::text : known->second;
    const auto mode = dom::text(field, "mode");
    type.repeated = mode == "REPEATED";
    type.required = mode == "REQUIRED";
    if (type.shape == Shape::decimal) {
        read_decimal(field, type);
    }
    if (type.shape == Shape::record) {
        const auto list = dom::list(field, "fields");
        if (!list) {
            bad_document(fmt::format("the record `{}` has no fields", type.name));
        }
        type.fields = parse_fields(*list, depth + 1);
    }
    return type;
}

Columns parse_fields(const dom::array& list, int depth) {
    if (depth > deepest) {
        throw Error(
            ErrorKind::permanent, "source.unsupported", fmt::format("records nested deeper than {} levels", deepest)
        );
    }
    Columns out;
    for (const auto field : list) {
        out.push_back(parse_field(field, depth));
    }
    return out;
}

dom::element parse_document(simdjson::dom::parser& parser, std::string_view text) {
    dom::element document;
    const auto error = parser.parse(text.data(), text.size()).get(document);
    if (error != simdjson::SUCCESS) {
        bad_document(simdjson::error_message(error));
    }
    if (!document.is_object()) {
        bad_document("it is no JSON object");
    }
    return document;
}

// The rows were cut out before; what is left in their place must be empty, and there only once.
void check_rows(const dom::element& document) {
    int seen = 0;
    for (const auto field : dom::object(document)) {
        if (field.key == "rows") {
            dom::array list;
            const bool empty =
                field.value.is_null() || (field.value.get(list) == simdjson::SUCCESS && list.size() == 0);
            if (++seen > 1 || !empty) {
                bad_document("`rows` is not one list of rows");
            }
        }
    }
}

std::string first_warning(const dom::element& document) {
    const auto list = dom::list(document, "errors");
    return list && list->size() > 0 ? dom::text(list->at(0), "message") : std::string();
}

}  // namespace

Envelope parse_envelope(std::string_view text, int status) {
    simdjson::dom::parser parser;
    const auto document = parse_document(parser, text);
    Envelope out;
    if (dom::member(document, "error")) {
        out.error = parse_refusal(status, text);
        return out;
    }
    check_rows(document);
    out.complete = dom::flag(document, "jobComplete");
    if (const auto job = dom::member(document, "jobReference")) {
        out.job_id = dom::text(*job, "jobId");
        out.location = dom::text(*job, "location");
    }
    out.page_token = dom::text(document, "pageToken");
    out.total_rows = dom::number(document, "totalRows");
    out.bytes_processed = dom::number(document, "totalBytesProcessed");
    if (const auto schema = dom::member(document, "schema")) {
        const auto list = dom::list(*schema, "fields");
        out.columns = list ? parse_fields(*list, 0) : Columns();
    }
    out.warning = first_warning(document);
    return out;
}

Job parse_job(std::string_view text) {
    simdjson::dom::parser parser;
    const auto document = parse_document(parser, text);
    Job out;
    if (const auto reference = dom::member(document, "jobReference")) {
        out.id = dom::text(*reference, "jobId");
        out.location = dom::text(*reference, "location");
    }
    if (const auto status = dom::member(document, "status")) {
        out.state = dom::text(*status, "state");
        if (const auto failed = dom::member(*status, "errorResult")) {
            out.error = Refusal{0, dom::text(*failed, "reason"), dom::text(*failed, "message")};
        }
    }
    if (const auto configuration = dom::member(document, "configuration")) {
        if (const auto query = dom::member(*configuration, "query")) {
            out.query = dom::text(*query, "query");
            if (const auto table = dom::member(*query, "destinationTable")) {
                out.destination = {
                    dom::text(*table, "projectId"), dom::text(*table, "datasetId"), dom::text(*table, "tableId")};
            }
        }
    }
    if (const auto statistics = dom::member(document, "statistics")) {
        out.bytes_processed = dom::number(*statistics, "totalBytesProcessed");
        if (const auto query = dom::member(*statistics, "query")) {
            out.bytes_billed = dom::number(*query, "totalBytesBilled");
            out.cache_hit = dom::flag(*query, "cacheHit");
        }
    }
    return out;
}

}  // namespace headrace::source::bigquery
