// Addresses: of the next page in a Link header, and relative ones.
#include "base/text.hpp"
#include "net/address.hpp"
#include "net/http_headers.hpp"
#include "source/http/paging.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::source::http {
namespace {

// The value of a parameter `name`, e.g. of `rel="prev next"`; commas and semicolons may stand within quotes.
std::string_view parameter(std::string_view parameters, std::string_view name) {
    while (!parameters.empty()) {
        parameters.remove_prefix(std::min(parameters.find_first_not_of("; \t"), parameters.size()));
        const auto equals = std::min(parameters.find_first_of("=;"), parameters.size());
        const auto found = trimmed(parameters.substr(0, equals));
        parameters.remove_prefix(equals);
        std::string_view value;
        if (parameters.starts_with('=')) {
            parameters = parameters.substr(1);
            const bool quoted = parameters.starts_with('"');
            parameters.remove_prefix(quoted ? 1 : 0);
            const auto end = std::min(parameters.find(quoted ? '"' : ';'), parameters.size());
            value = parameters.substr(0, end);
            parameters.remove_prefix(std::min(end + (quoted ? 1 : 0), parameters.size()));
        }
        if (net::equal_no_case(found, name)) {
            return trimmed(value);
        }
    }
    return {};
}

bool has_word(std::string_view list, std::string_view word) {
    while (!list.empty()) {
        const auto one = list.substr(0, list.find(' '));
        if (net::equal_no_case(one, word)) {
            return true;
        }
        list.remove_prefix(std::min(one.size() + 1, list.size()));
    }
    return false;
}

// Up to the comma that ends this link.
std::size_t end_of_link(std::string_view text) {
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        quoted = quoted != (text[i] == '"');
        if (text[i] == ',' && !quoted) {
            return i;
        }
    }
    return text.size();
}

}  // namespace

std::string next_link(std::string_view header) {
    while (!header.empty()) {
        const auto open = header.find('<');
        const auto close = header.find('>', open == std::string_view::npos ? 0 : open);
        if (open == std::string_view::npos || close == std::string_view::npos) {
            return "";
        }
        const auto target = header.substr(open + 1, close - open - 1);
        header.remove_prefix(close + 1);
        const auto end = end_of_link(header);
        if (has_word(parameter(header.substr(0, end), "rel"), "next")) {
            return std::string(trimmed(target));
        }
        header.remove_prefix(std::min(end + 1, header.size()));
    }
    return "";
}

std::string origin_of(std::string_view url) {
    const auto parsed = net::parse_url(url);
    auto address = parsed.address(parsed.scheme == "https" ? 443 : 80);
    std::transform(address.host.begin(), address.host.end(), address.host.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return parsed.scheme + "://" + address.text();
}

std::string resolve_reference(std::string_view base, std::string_view reference) {
    const auto scheme_end = base.find("://");
    const auto path_at = std::min(base.find_first_of("/?#", scheme_end + 3), base.size());
    const auto authority = base.substr(0, path_at);
    const auto path_end = std::min(base.find_first_of("?#", path_at), base.size());
    const auto path = base.substr(path_at, path_end - path_at);
    if (const auto colon = reference.find("://");
        colon != std::string_view::npos && reference.find_first_of("/?#") == colon + 1) {
        return std::string(reference);
    }
    if (reference.starts_with("//")) {
        return fmt::format("{}:{}", base.substr(0, scheme_end), reference);
    }
    if (reference.starts_with('/')) {
        return fmt::format("{}{}", authority, reference);
    }
    if (reference.starts_with('?')) {
        return fmt::format("{}{}{}", authority, path, reference);
    }
    const auto folder = path.substr(0, path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
    return fmt::format("{}{}{}", authority, folder.empty() ? "/" : folder, reference);
}

}  // namespace headrace::source::http
