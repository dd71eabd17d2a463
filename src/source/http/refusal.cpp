#include "source/http/refusal.hpp"

#include <fmt/core.h>
#include <simdjson.h>

namespace headrace::source::http {
namespace {

constexpr std::size_t most_text = 300;

std::string without_tags(std::string_view html) {
    std::string out;
    bool tag = false;
    for (const char c : html) {
        tag = tag || c == '<';
        out += tag ? ' ' : c;
        tag = tag && c != '>';
    }
    return out;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t most) {
    std::string out;
    for (const char c : text.substr(0, most)) {
        const bool blank = static_cast<unsigned char>(c) <= ' ';
        if (!blank) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    return text.size() > most ? out + " …" : out;
}

std::string refusal_text(std::string_view body, std::string_view content_type) {
    simdjson::dom::parser parser;
    simdjson::dom::element document;
    if (parser.parse(body.data(), body.size()).get(document) == simdjson::SUCCESS) {
        for (const auto* pointer :
             {"/error/message", "/message", "/error_description", "/error", "/detail", "/title"}) {
            std::string_view text;
            if (document.at_pointer(pointer).get(text) == simdjson::SUCCESS && !text.empty()) {
                return one_line(text, most_text);
            }
        }
    }
    if (content_type.find("html") != std::string_view::npos) {
        return one_line(without_tags(body.substr(0, 4 * most_text)), most_text);
    }
    return one_line(body, most_text);
}

Error to_error(const Refusal& refusal, std::string_view doing, bool midway) {
    const auto sentence =
        fmt::format("HTTP {} for {}{}{}", refusal.status, doing, refusal.text.empty() ? "" : ": ", refusal.text);
    const int status = refusal.status;
    if (status == 401 || status == 403) {
        return Error(ErrorKind::unauthorized, "source.auth", sentence);
    }
    if (status == 429) {
        return Error(ErrorKind::transient, "source.rate_limited", sentence);
    }
    if (status >= 300 && status < 400) {
        return Error(ErrorKind::permanent, "source.redirect", sentence);
    }
    if (refusal.worth_repeating() || status >= 500) {
        return Error(ErrorKind::transient, "source.unavailable", sentence);
    }
    if (midway) {
        return Error(ErrorKind::transient, "source.incomplete", sentence + " after other pages had come");
    }
    return Error(ErrorKind::permanent, "source.query", sentence);
}

}  // namespace headrace::source::http
