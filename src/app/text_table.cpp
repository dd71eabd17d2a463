#include "app/text_table.hpp"

#include "base/json_text.hpp"

#include <algorithm>

namespace headrace::app {
namespace {

bool begins_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::size_t characters(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string printable(const std::string& text, std::size_t most) {
    const bool good = is_utf8(text);
    std::string out;
    std::size_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((!good || begins_character(text[i])) && most != 0 && ++count > most) {
            return out + "…";
        }
        // C1 controls are C2 80 to C2 9F in UTF-8.
        const bool c1 = good && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (byte < 0x20 || byte == 0x7F || c1) {
            out += ' ';
            i += c1 ? 1 : 0;
        } else {
            out += good || byte < 0x80 ? text[i] : '?';
        }
    }
    return out;
}

}  // namespace

TextTable::TextTable(std::vector<std::string> head, std::size_t most) : most_(most) {
    add(std::move(head));
}

void TextTable::add(std::vector<std::string> cells) {
    for (auto& cell : cells) {
        cell = printable(cell, most_);
    }
    rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], characters(row[i]));
        }
    }
    std::string out;
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            out.append(i + 1 < row.size() ? widths[i] - characters(row[i]) + 2 : 0, ' ');
        }
        out += '\n';
    }
    return out;
}

}  // namespace headrace::app
