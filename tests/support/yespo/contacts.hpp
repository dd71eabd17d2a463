// Contacts that the simulator gives, about 490 bytes each. Everything follows from the number, and every member but the
// id is missing in some of them.
#pragma once

#include <cstdint>
#include <string>

namespace headrace::support::yespo {

std::int64_t contact_id(std::uint32_t number);

// As Yespo writes it: lists of one element are that element.
void append_contact(std::string& out, std::uint32_t number);

// The row that headrace makes of it, with all columns, as its JSON encoder writes it.
void append_row(std::string& out, std::uint32_t number);

}  // namespace headrace::support::yespo
