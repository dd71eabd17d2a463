// Small text encodings. Decoders return nullopt on any byte outside the alphabet or on wrong padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headrace {

std::string hex_encode(std::string_view bytes);  // lower case
std::optional<std::string> hex_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);  // RFC 4648 §4, padded
std::optional<std::string> base64_decode(std::string_view text);
std::string base64url_encode(std::string_view bytes);  // RFC 4648 §5, no padding
std::optional<std::string> base64url_decode(std::string_view text);
std::string percent_encode(std::string_view text);  // all but unreserved characters (RFC 3986)
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

}  // namespace headrace
