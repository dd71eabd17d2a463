// docs/errors.md as text, made from base/codes.hpp; a test compares the two.
#pragma once

#include <string>

namespace headrace {

std::string errors_markdown();

}  // namespace headrace
