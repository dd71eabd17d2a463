// Tables of text: what came from elsewhere stays in its cell.
#include "app/text_table.hpp"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

TEST(TextTable, AlignsByCharactersAndCuts) {
    TextTable table({"A", "NAME"}, 5);
    table.add({"Київ", "123456789"});
    table.add({"x", ""});
    EXPECT_EQ(table.text(), "A     NAME\nКиїв  12345…\nx     \n");
}

TEST(TextTable, ATerminalIsNotSteered) {
    TextTable table({"A"});
    table.add({"a\x1b[2Jb\nc\td\x7f"});
    table.add(
        {"\xc2\x9b"
         "1m \xff"}
    );
    table.add(
        {"e\xc2\x9b"
         "f"}
    );
    EXPECT_EQ(table.text(), "A\na [2Jb c d \n??1m ?\ne f\n");
}

}  // namespace
}  // namespace headrace::app
