// What every connector asks of its options and its credential. Pure.
#pragma once

#include "net/address.hpp"
#include "pipeline/registry.hpp"

#include <string>
#include <string_view>

namespace headrace::source {

// Throws pipeline.invalid with the place of the part in its file.
[[noreturn]] void refuse_option(const pipeline::Part& part, std::string text);

// The option `query` without a ';' at its end. Throws pipeline.invalid when nothing is left.
std::string query_of(const pipeline::Part& part);

// A public setting of the credential; `otherwise` where it is missing or empty.
std::string setting(const pipeline::Credential& credential, std::string_view name, std::string_view otherwise = "");

// Whether the secret may go there: the list of the credential names the host, or host:port, in any case of letters.
bool host_allowed(const pipeline::Credential& credential, const net::Address& address);

}  // namespace headrace::source
