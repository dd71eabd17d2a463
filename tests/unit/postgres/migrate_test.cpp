#include "postgres/migrate.hpp"

#include <gtest/gtest.h>

namespace headrace::postgres {
namespace {

TEST(Migrations, FirstLineSaysWhoCanWorkWithThem) {
    EXPECT_EQ(oldest_program("0007_more", "create table x ();\n"), 7);
    EXPECT_EQ(oldest_program("0007_more", "-- oldest program: 5\ncreate table x ();\n"), 5);
    EXPECT_EQ(oldest_program("0007_more", "-- oldest program: 0012\n"), 7) << "no program can be newer than itself";
    EXPECT_EQ(oldest_program("0007_more", "-- oldest program: six\n"), 7);
    EXPECT_EQ(oldest_program("0007_more", "-- oldest program: -1\n"), 7);
    EXPECT_EQ(oldest_program("0007_more", "create table x ();\n-- oldest program: 5\n"), 7);
}

}  // namespace
}  // namespace headrace::postgres
