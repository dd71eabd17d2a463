// Ids. A run id is a UUID version 7 (time-ordered, RFC 9562); attempt ids and tokens are random (version 4).
#pragma once

#include <string>
#include <string_view>

namespace headrace {

std::string make_uuid_v7();                   // 36 characters, lower case
std::string make_uuid_v4();                   // 36 characters, lower case, 122 random bits from the kernel
bool is_uuid(std::string_view text);          // 8-4-4-4-12 hex digits
std::string random_token(std::size_t bytes);  // base64url without padding of that many random bytes
void random_bytes(void* to, std::size_t count);

}  // namespace headrace
