#include "net/reach.hpp"

#include "base/error.hpp"
#include "net/resolve.hpp"

#include <arpa/inet.h>
#include <netdb.h>

namespace headrace::net {
namespace {

std::string text_of(const Endpoint& endpoint) {
    char host[NI_MAXHOST];
    return ::getnameinfo(endpoint.get(), endpoint.size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0 ? host
                                                                                                            : "?";
}

std::string look_up(const Destination& to, Deadline deadline, const StopToken& stop) {
    std::string out;
    for (const auto& endpoint : resolve(to.address, deadline, stop)) {
        if (to.egress_check && !to.egress_check(endpoint.get())) {
            throw Error(
                ErrorKind::permanent,
                "http.egress",
                to.address.text() + " is " + text_of(endpoint) + ": this address may not be called"
            );
        }
        out += (out.empty() ? "" : ", ") + text_of(endpoint);
    }
    return to.address.host + " is " + out;
}

}  // namespace

void reach(const Destination& to, Deadline deadline, const StopToken& stop, const Step& step) {
    step("dns", [&] { return look_up(to, deadline, stop); });
    step("connect", [&] {
        return Stream::connect(to.address, nullptr, deadline, stop).name() + " accepts connections";
    });
    if (to.tls) {
        step("tls", [&] { return Stream::connect(to.address, &*to.tls, deadline, stop).security(); });
    }
}

}  // namespace headrace::net
