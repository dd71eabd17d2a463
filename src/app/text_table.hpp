// Columns of text for a terminal. What came from a source is shown on one line and cannot move the cursor: control
// characters become a space, what is not UTF-8 a question mark.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace headrace::app {

class TextTable {
public:
    // A longer cell is cut at `most` characters; 0: none is.
    explicit TextTable(std::vector<std::string> head, std::size_t most = 0);

    void add(std::vector<std::string> cells);  // as many as the head has

    std::string text() const;  // with a line end behind each row

private:
    std::vector<std::vector<std::string>> rows_;
    std::size_t most_;
};

}  // namespace headrace::app
