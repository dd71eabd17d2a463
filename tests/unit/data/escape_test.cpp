// The fast escaper against a plain one, byte for byte: every length, every alignment, every kind of damage.
#include "base/json_escape.hpp"
#include "base/json_text.hpp"
#include "data/json.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <random>
#include <string>

namespace headrace {
namespace {

// The rule, one byte at a time: Unicode 15 table 3-7, maximal subparts.
std::string plain_escape(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t k) {
            return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U;
        };
        const unsigned c = byte(0);
        if (c < 0x80) {
            switch (c) {
                case '"':
                    out += "\\\"";
                    break;
                case '\\':
                    out += "\\\\";
                    break;
                case '\n':
                    out += "\\n";
                    break;
                case '\r':
                    out += "\\r";
                    break;
                case '\t':
                    out += "\\t";
                    break;
                default:
                    if (c < 0x20) {
                        out += std::string("\\u00") + digits[c >> 4] + digits[c & 15];
                    } else {
                        out += static_cast<char>(c);
                    }
            }
            ++i;
            continue;
        }
        unsigned need = 0, low = 0x80, high = 0xbf;
        if (c >= 0xc2 && c <= 0xdf)
            need = 1;
        else if (c == 0xe0)
            need = 2, low = 0xa0;
        else if (c >= 0xe1 && c <= 0xef)
            need = 2, high = c == 0xed ? 0x9f : 0xbf;
        else if (c == 0xf0)
            need = 3, low = 0x90;
        else if (c >= 0xf1 && c <= 0xf4)
            need = 3, high = c == 0xf4 ? 0x8f : 0xbf;
        unsigned good = 0;
        while (good < need && byte(1 + good) >= low && byte(1 + good) <= high && byte(1 + good) >= 0x80) {
            ++good;
            low = 0x80;
            high = 0xbf;
        }
        if (need > 0 && good == need) {
            out.append(text.substr(i, need + 1));
        } else {
            out += "\xEF\xBF\xBD";
        }
        i += 1 + good;
    }
    return out + '"';
}

std::string data_escape(std::string_view text) {
    data::Column column(data::Kind::string);
    column.add_text(text);
    data::Buffer<char> out;
    data::append_json_value(out, column, 0);
    return std::string(data::view(out));
}

void same(const std::string& text) {
    const auto expected = plain_escape(text);
    ASSERT_EQ(json_string(text), expected) << testing::PrintToString(text);
    ASSERT_EQ(data_escape(text), expected) << testing::PrintToString(text);
    data::Buffer<char> out;
    data::append_json_text(out, text);
    ASSERT_EQ(data::view(out), expected) << testing::PrintToString(text);
}

TEST(Escape, Table) {
    EXPECT_EQ(json_string("a\"b\\c\n\r\t\x01\x1f\x7f/"), "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001f\x7f/\"");
    EXPECT_EQ(json_string("Київ"), "\"Київ\"");
    EXPECT_EQ(json_string("\xff"), "\"\xEF\xBF\xBD\"");
    EXPECT_EQ(json_string("\xe2\x82"), "\"\xEF\xBF\xBD\"");                              // one maximal part
    EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");  // a surrogate: three
    EXPECT_EQ(json_string("\xc0\xaf"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");                  // too long a form
    EXPECT_EQ(json_string("\xf4\x90\x80\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    EXPECT_EQ(json_string(std::string_view("\0", 1)), "\"\\u0000\"");
    same("");
}

// Every character of up to 2 bytes, and the borders of the longer ones, at every place of two blocks.
TEST(Escape, EveryPlace) {
    std::vector<std::string> pieces;
    for (int c = 0; c < 256; ++c) {
        pieces.emplace_back(1, static_cast<char>(c));
    }
    for (const char* piece :
         {"\xc2\x80",
          "\xdf\xbf",
          "\xd0\x96",
          "\xe0\xa0\x80",
          "\xe0\x9f\x80",
          "\xed\x9f\xbf",
          "\xed\xa0\x80",
          "\xef\xbf\xbf",
          "\xf0\x90\x80\x80",
          "\xf0\x8f\x80\x80",
          "\xf4\x8f\xbf\xbf",
          "\xf4\x90\x80\x80",
          "\xd0",
          "\xe2\x82",
          "\xf0\x9f\x98"}) {
        pieces.emplace_back(piece);
    }
    for (const auto& piece : pieces) {
        for (std::size_t before = 0; before < 34; ++before) {
            for (const std::size_t after : {0, 1, 15, 16, 17}) {
                for (const char* fill : {"a", "ж"}) {
                    std::string text;
                    for (std::size_t i = 0; i < before; ++i) {
                        text += fill;
                    }
                    text += piece;
                    for (std::size_t i = 0; i < after; ++i) {
                        text += fill;
                    }
                    same(text);
                }
            }
        }
    }
}

TEST(Escape, RandomMixtures) {
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937 random(seed);
    const std::vector<std::string> alphabet{"a",        "Z",
                                            " ",        "ж",
                                            "Ї",        "é",
                                            "€",        "漢",
                                            "😀",       "\"",
                                            "\\",       "\n",
                                            "\x01",     "\x7f",
                                            "\x80",     "\xbf",
                                            "\xc0",     "\xc1",
                                            "\xd0",     "\xe0\xa0",
                                            "\xe2",     "\xed\xa0",
                                            "\xf0\x9f", "\xf5",
                                            "\xff",     "plain ascii text"};
    for (int round = 0; round < 30'000; ++round) {
        std::string text;
        const auto kinds = 1 + random() % alphabet.size();
        const auto offset = random() % alphabet.size();
        for (auto count = random() % 40; count > 0; --count) {
            text += alphabet[(offset + random() % kinds) % alphabet.size()];
        }
        same(text);
    }
    for (int round = 0; round < 200; ++round) {  // longer than a piece
        std::string text;
        const auto kinds = 1 + random() % alphabet.size();
        while (text.size() < 1000 + random() % 2000) {
            text += alphabet[random() % kinds];
        }
        same(text);
    }
    for (int round = 0; round < 20'000; ++round) {  // any bytes
        std::string text(random() % 50, '\0');
        for (auto& c : text) {
            c = static_cast<char>(random() % 4 == 0 ? random() : 0x80 | random() % 128);
        }
        same(text);
    }
}

TEST(Escape, PiecesTakeWholeCharacters) {
    const std::string text = "aж€😀";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        char out[200];
        std::size_t taken = 0;
        char* end = escape_json_piece(out, text.data(), size, text.size(), taken);
        EXPECT_GE(taken, size);
        EXPECT_EQ(std::string(out, end), text.substr(0, taken));
        EXPECT_TRUE(is_utf8(text.substr(0, taken)));
    }
}

}  // namespace
}  // namespace headrace
