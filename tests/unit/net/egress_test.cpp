#include "net/egress.hpp"

#include "base/error.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace headrace::net {
namespace {

bool may_call(const Egress& egress, const std::string& text, std::uint16_t port = 443) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        return egress.allows(reinterpret_cast<const sockaddr*>(&v4));
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
    return egress.allows(reinterpret_cast<const sockaddr*>(&v6));
}

TEST(Egress, PrivateAndSpecialAddressesAreRefused) {
    const Egress egress;
    for (const auto* address :
         {"0.0.0.0",         "10.1.2.3",     "100.64.0.1",  "127.0.0.1",     "127.8.8.8",       "169.254.169.254",
          "172.16.0.1",      "172.31.255.1", "192.168.1.1", "198.18.0.1",    "224.0.0.1",       "240.0.0.1",
          "255.255.255.255", "::",           "::1",         "::127.0.0.1",   "fe80::1",         "fc00::1",
          "fdff::1",         "ff02::1",      "2001:db8::1", "2002:7f00:1::", "64:ff9b::7f00:1", "::ffff:127.0.0.1",
          "::ffff:10.0.0.1"}) {
        EXPECT_FALSE(may_call(egress, address)) << address;
    }
    for (const auto* address : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450:4001::1", "::ffff:8.8.8.8"}) {
        EXPECT_TRUE(may_call(egress, address)) << address;
    }
}

TEST(Egress, PublicAddressesOnUsualPorts) {
    const Egress egress;
    for (const std::uint16_t port : {80, 443, 8123, 8443}) {
        EXPECT_TRUE(may_call(egress, "8.8.8.8", port));
    }
    for (const std::uint16_t port : {22, 25, 6379, 5432, 8080}) {
        EXPECT_FALSE(may_call(egress, "8.8.8.8", port));
    }
    EXPECT_TRUE(may_call(Egress::parse(":8080"), "8.8.8.8", 8080));
    EXPECT_FALSE(may_call(Egress::parse(":8080"), "10.0.0.1", 8080));
}

TEST(Egress, WhatTheConfigurationNamesIsAllowed) {
    const auto egress = Egress::parse("10.1.0.0/17, 192.168.1.7 fd00:1::/33");
    EXPECT_TRUE(may_call(egress, "10.1.0.1", 9000));
    EXPECT_TRUE(may_call(egress, "10.1.127.255"));
    EXPECT_FALSE(may_call(egress, "10.1.128.0"));
    EXPECT_TRUE(may_call(egress, "192.168.1.7"));
    EXPECT_FALSE(may_call(egress, "192.168.1.6"));
    EXPECT_TRUE(may_call(egress, "::ffff:192.168.1.7"));
    EXPECT_TRUE(may_call(egress, "fd00:1:7fff::1"));
    EXPECT_FALSE(may_call(egress, "fd00:1:8000::1"));
    EXPECT_TRUE(may_call(Egress::parse("0.0.0.0/0 ::/0"), "127.0.0.1", 1));
    for (const auto* wrong : {"10.0.0.0/33", "host.example", "10.0.0", ":0", ":70000", "10.0.0.0/", "fe80::/129"}) {
        EXPECT_THROW(Egress::parse(wrong), Error) << wrong;
    }
}

}  // namespace
}  // namespace headrace::net
