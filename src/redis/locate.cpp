#include "redis/locate.hpp"

#include "base/error.hpp"
#include "redis/connection.hpp"

#include <charconv>

namespace headrace::redis {
namespace {

std::uint16_t port_of(std::string_view text) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    return port;
}

}  // namespace

net::Address find_master(const Options& options, const StopToken& stop) {
    std::string why = "none was asked";
    for (const auto& sentinel : options.sentinels) {
        Options one;
        one.address = sentinel;
        one.tls = options.tls;
        one.tls_options = options.tls_options;
        // A dead Sentinel must leave time for the next, and for the server.
        one.connect_timeout = options.connect_timeout / static_cast<int>(options.sentinels.size() + 1);
        one.reply_timeout = one.connect_timeout;
        try {
            auto connection = Connection::connect(one, stop);
            const auto reply = connection.command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.master});
            if (!reply.is_nil()) {
                net::Address address;
                address.host = reply.at(0).str();
                address.port = port_of(reply.at(1).str());
                return address;
            }
            why = sentinel.text() + " does not know it";
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled) {
                throw;
            }
            why = error.message();
        }
    }
    throw Error(ErrorKind::transient, "redis.connect", "no Sentinel says where " + options.master + " is: " + why);
}

std::optional<net::Address> moved_to(const ReplyPart& reply, const net::Address& from) {
    if (!reply.is_error() || !reply.error_text().starts_with("MOVED ")) {
        return std::nullopt;
    }
    auto text = std::string_view(reply.error_text());
    text.remove_prefix(text.rfind(' ') + 1);
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    net::Address to;
    to.host = colon == 0 ? from.host : std::string(text.substr(0, colon));
    to.port = port_of(text.substr(colon + 1));
    return to;
}

}  // namespace headrace::redis
