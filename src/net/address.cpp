#include "net/address.hpp"

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace headrace::net {
namespace {

[[noreturn]] void refuse(const char* why) {
    throw Error(ErrorKind::invalid, "config.invalid", std::string("not a usable URL: ") + why);
}

std::string decoded(std::string_view text) {
    auto plain = percent_decode(text);
    if (!plain || plain->find('\0') != std::string::npos) {
        refuse("bad percent-encoding");
    }
    return std::move(*plain);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

void take_host(Url& out, const boost::urls::url_view& view) {
    if (view.host_type() == boost::urls::host_type::ipvfuture) {
        refuse("unknown kind of host literal");
    }
    const std::string_view host(view.encoded_host().data(), view.encoded_host().size());
    const bool literal = view.host_type() == boost::urls::host_type::ipv6;
    out.host = literal ? std::string(host.substr(1, host.size() - 2)) : decoded(host);
    if (view.has_port() && !view.port().empty()) {
        out.port = view.port_number();
        if (out.port == 0) {
            refuse("the port must be 1..65535");
        }
    }
}

}  // namespace

std::string Address::text() const {
    if (is_unix()) {
        return "unix:" + unix_path;
    }
    const bool literal = host.find(':') != std::string::npos;
    return (literal ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Address Url::address(std::uint16_t default_port) const {
    return is_unix() ? Address{{}, 0, path} : Address{host, port_or(default_port), {}};
}

const std::string* Url::parameter(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) {
            return &value;
        }
    }
    return nullptr;
}

std::string Url::masked() const {
    std::string out = scheme + "://";
    if (!user.empty() || !password.empty()) {
        out += percent_encode(user) + (password.empty() ? "@" : ":***@");
    }
    if (!is_unix()) {
        const bool literal = host.find(':') != std::string::npos;
        out += literal ? "[" + host + "]" : host;
        out += port != 0 ? ":" + std::to_string(port) : "";
    }
    out += path;
    char separator = '?';
    for (const auto& [key, value] : query) {
        out += separator + percent_encode(key) + (value.empty() ? "" : "=***");
        separator = '&';
    }
    return out;
}

Url parse_url(std::string_view text) {
    const auto parsed = boost::urls::parse_uri({text.data(), text.size()});
    if (!parsed) {
        refuse("write it as scheme://host:port/path");
    }
    const auto& view = *parsed;
    Url out;
    out.scheme = lower({view.scheme().data(), view.scheme().size()});
    if (!view.has_authority()) {
        refuse("there is no // after the scheme");
    }
    out.user = decoded({view.encoded_user().data(), view.encoded_user().size()});
    out.password = Secret(decoded({view.encoded_password().data(), view.encoded_password().size()}));
    take_host(out, view);
    out.path = decoded({view.encoded_path().data(), view.encoded_path().size()});
    if (!out.path.empty() && out.path.front() != '/') {
        refuse("the port is not a number");  // "host:80x" is taken for host, port and path "x" by Boost 1.81
    }
    for (const auto parameter : view.encoded_params()) {
        out.query.emplace_back(
            decoded({parameter.key.data(), parameter.key.size()}),
            decoded({parameter.value.data(), parameter.value.size()})
        );
    }
    if (out.is_unix() && (out.path.size() < 2 || !out.host.empty())) {
        refuse("a unix socket needs an absolute path, as in redis+unix:///run/redis.sock");
    }
    if (!out.is_unix() && out.host.empty()) {
        refuse("the host is missing");
    }
    return out;
}

}  // namespace headrace::net
