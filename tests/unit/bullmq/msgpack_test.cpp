// Known vectors: the bytes that msgpackr (Node) and the MessagePack specification give.
#include "bullmq/msgpack.hpp"

#include "base/encoding.hpp"

#include <gtest/gtest.h>

using headrace::hex_encode;
using headrace::bullmq::MapPacker;
using headrace::bullmq::Packer;

namespace {

template <class Function>
std::string packed(Function&& function) {
    Packer packer;
    function(packer);
    return hex_encode(packer.bytes());
}

std::string integer(std::int64_t value) {
    return packed([&](Packer& p) { p.integer(value); });
}

TEST(Msgpack, IntegersTakeTheShortestForm) {
    EXPECT_EQ(integer(0), "00");
    EXPECT_EQ(integer(127), "7f");
    EXPECT_EQ(integer(128), "cc80");
    EXPECT_EQ(integer(255), "ccff");
    EXPECT_EQ(integer(256), "cd0100");
    EXPECT_EQ(integer(65535), "cdffff");
    EXPECT_EQ(integer(65536), "ce00010000");
    EXPECT_EQ(integer(4294967295), "ceffffffff");
    EXPECT_EQ(integer(4294967296), "cf0000000100000000");
    EXPECT_EQ(integer(-1), "ff");
    EXPECT_EQ(integer(-32), "e0");
    EXPECT_EQ(integer(-33), "d0df");
    EXPECT_EQ(integer(-128), "d080");
    EXPECT_EQ(integer(-129), "d1ff7f");
    EXPECT_EQ(integer(-32769), "d2ffff7fff");
    EXPECT_EQ(integer(-2147483649), "d3ffffffff7fffffff");
}

TEST(Msgpack, TextArraysMapsAndTheRest) {
    EXPECT_EQ(
        packed([](Packer& p) {
            p.nil();
            p.boolean(true);
            p.boolean(false);
        }),
        "c0c3c2"
    );
    EXPECT_EQ(packed([](Packer& p) { p.number(0.5); }), "cb3fe0000000000000");
    EXPECT_EQ(packed([](Packer& p) { p.number(1000.0); }), "cd03e8");
    EXPECT_EQ(packed([](Packer& p) { p.string("abc"); }), "a3616263");
    EXPECT_EQ(packed([](Packer& p) { p.string(std::string(31, 'a')); }).substr(0, 2), "bf");
    EXPECT_EQ(packed([](Packer& p) { p.string(std::string(32, 'a')); }).substr(0, 4), "d920");
    EXPECT_EQ(packed([](Packer& p) { p.string(std::string(256, 'a')); }).substr(0, 6), "da0100");
    EXPECT_EQ(packed([](Packer& p) { p.string(std::string(65536, 'a')); }).substr(0, 10), "db00010000");
    EXPECT_EQ(
        packed([](Packer& p) {
            p.array(15);
            p.array(16);
            p.array(65536);
        }),
        "9fdc0010dd00010000"
    );
    EXPECT_EQ(
        packed([](Packer& p) {
            p.map(15);
            p.map(16);
            p.map(65536);
        }),
        "8fde0010df00010000"
    );
}

TEST(Msgpack, MapPackerCounts) {
    MapPacker inner;
    inner.add("max", std::int64_t{5});
    MapPacker map;
    map.add("token", "t:1");
    map.add("ok", true);
    map.add_packed("limiter", inner.take());
    EXPECT_EQ(hex_encode(map.take()), "83a5746f6b656ea3743a31a26f6bc3a76c696d6974657281a36d617805");
}

}  // namespace
