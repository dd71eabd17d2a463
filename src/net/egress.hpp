// Which addresses a source may call (server-side request forgery). Asked for the very address of each connect, after
// the name was resolved: a name cannot change its mind in between. Public addresses on the ports of the web and of
// ClickHouse are allowed; this machine, private, link-local and other special ranges only where the configuration names
// them. Value type; const use from several threads is fine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace headrace::net {

class Egress {
public:
    Egress() = default;

    // Words between blanks or commas: 10.1.0.0/16, 192.168.1.7, fd00::/8, or :8444 for one more port of public
    // addresses. Throws Error{invalid, "config.invalid"} naming the word.
    static Egress parse(std::string_view text);

    bool allows(const sockaddr* address) const;

private:
    struct Range {
        unsigned char bytes[16];  // IPv4 as ::ffff:a.b.c.d
        int bits = 0;
    };

    std::vector<Range> allowed_;
    std::vector<std::uint16_t> ports_;
};

}  // namespace headrace::net
