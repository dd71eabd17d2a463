#include "postgres/quote.hpp"

namespace headrace::postgres {

std::string quote_identifier(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        out += c;
        if (c == '"') {
            out += c;
        }
    }
    return out + '"';
}

std::string quote_identifiers(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) {
        out += (out.empty() ? "" : ", ") + quote_identifier(name);
    }
    return out;
}

std::string qualified_name(std::string_view schema, std::string_view table) {
    return quote_identifier(schema) + "." + quote_identifier(table);
}

std::string quote_literal(std::string_view text) {
    // E'' reads backslashes the same way whatever standard_conforming_strings says.
    std::string out = text.find('\\') == std::string_view::npos ? "'" : "E'";
    for (const char c : text) {
        out += c;
        if (c == '\'' || c == '\\') {
            out += c;
        }
    }
    return out + "'";
}

}  // namespace headrace::postgres
