#include "net/http_wire.hpp"

#include "base/codes.hpp"
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/json_text.hpp"
#include "net/http_names.hpp"

#include <algorithm>
#include <array>

namespace headrace::net {
namespace {

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

const char* read_path(std::string_view encoded, std::string& out) {
    auto path = percent_decode(encoded);
    if (!path) {
        return "the path has a bad percent-encoding";
    }
    const auto slashes = [](std::string_view text) { return std::count(text.begin(), text.end(), '/'); };
    if (slashes(*path) != slashes(encoded) || path->find('\\') != std::string::npos) {
        return "the path encodes a slash";
    }
    if (std::any_of(path->begin(), path->end(), is_control) || !is_utf8(*path)) {
        return "the path is not plain UTF-8 text";
    }
    for (std::size_t from = 1; from < path->size();) {
        const auto to = std::min(path->find('/', from), path->size());
        const auto part = std::string_view(*path).substr(from, to - from);
        if (part.empty() || part == "." || part == "..") {
            return "the path is not in normal form";
        }
        from = to + 1;
    }
    out = std::move(*path);
    return nullptr;
}

const char* read_query(std::string_view text, Request& out) {
    while (!text.empty()) {
        const auto pair = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(pair.size() + 1, text.size()));
        if (pair.empty()) {
            continue;
        }
        const auto equals = std::min(pair.find('='), pair.size());
        auto name = percent_decode(pair.substr(0, equals), true);
        auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
        if (!name || !value || !is_utf8(*name) || !is_utf8(*value) || value->find('\0') != std::string::npos) {
            return "the query has a bad percent-encoding";
        }
        out.query.emplace_back(std::move(*name), std::move(*value));
    }
    return nullptr;
}

bool is_field_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != ':';
    });
}

bool is_ours(std::string_view name) {
    constexpr std::array<std::string_view, 5> ours = {
        "content-length", "transfer-encoding", "connection", "date", "keep-alive"};
    return std::any_of(ours.begin(), ours.end(), [&](std::string_view own) { return equal_no_case(own, name); });
}

void append_two(std::string& out, int value) {
    out += static_cast<char>('0' + value / 10 % 10);
    out += static_cast<char>('0' + value % 10);
}

}  // namespace

const std::string* Request::parameter(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) {
            return &value;
        }
    }
    return nullptr;
}

const char* read_target(std::string_view target, Request& out) {
    if (target.empty() || target.front() != '/') {
        return "the target must be a path";
    }
    // Raw characters outside of ASCII, blanks and fragments are for the client to encode or to
    // keep.
    if (std::any_of(target.begin(), target.end(), [](char c) {
            return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '#';
        })) {
        return "the target holds a character that must be encoded";
    }
    out.target = std::string(target);
    const auto question = std::min(target.find('?'), target.size());
    if (const char* reason = read_path(target.substr(0, question), out.path)) {
        return reason;
    }
    return read_query(target.substr(std::min(question + 1, target.size())), out);
}

std::string response_head(const Response& response, const HeadOptions& options) {
    std::string out;
    out.reserve(256);
    out += "HTTP/1.1 ";
    out += std::to_string(response.status);
    out += ' ';
    out += status_text(response.status);
    out += "\r\nDate: ";
    out += options.date;
    for (const auto& [name, value] : response.headers) {
        if (!is_field_name(name) ||
            std::any_of(value.begin(), value.end(), [](char c) { return is_control(c) && c != '\t'; })) {
            throw Error(ErrorKind::bug, "internal.bug", "a response header cannot be sent");
        }
        if (!is_ours(name)) {
            out += "\r\n";
            out += name;
            out += ": ";
            out += value;
        }
    }
    if (options.chunked) {
        out += "\r\nTransfer-Encoding: chunked";
    } else if (options.content_length) {
        out += "\r\nContent-Length: ";
        out += std::to_string(*options.content_length);
    }
    if (!options.keep_alive) {
        out += "\r\nConnection: close";
    } else if (options.http_1_0) {
        out += "\r\nConnection: keep-alive";
    }
    out += "\r\n\r\n";
    return out;
}

std::string http_date(std::time_t time) {
    constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<const char*, 12> months = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    std::string out = days[static_cast<std::size_t>(parts.tm_wday)];
    out += ", ";
    append_two(out, parts.tm_mday);
    out += ' ';
    out += months[static_cast<std::size_t>(parts.tm_mon)];
    out += ' ' + std::to_string(parts.tm_year + 1900) + ' ';
    append_two(out, parts.tm_hour);
    out += ':';
    append_two(out, parts.tm_min);
    out += ':';
    append_two(out, parts.tm_sec);
    out += " GMT";
    return out;
}

Response problem(int status, std::string_view code, std::string_view detail, std::string_view request_id) {
    const auto* info = find_code(code);
    std::string type(code.substr(std::min(code.find('.') + 1, code.size())));
    std::replace(type.begin(), type.end(), '_', '-');
    Response out;
    out.status = status;
    out.headers = {{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}};
    out.body = "{\"type\":" + json_string("/problems/" + type);
    const auto add = [&out](const char* name, std::string_view value) {
        if (!value.empty()) {
            out.body += std::string(",\"") + name + "\":";
            append_json_string(out.body, value);
        }
    };
    add("title", info != nullptr ? info->sentence : status_text(status));
    out.body += ",\"status\":" + std::to_string(status);
    add("detail", detail);
    add("code", code);
    add("hint", info != nullptr ? info->hint : std::string_view());
    add("requestId", request_id);
    out.body += "}";
    return out;
}

}  // namespace headrace::net
