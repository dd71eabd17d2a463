// Yespo (formerly eSputnik): the contacts of one group. A thin layer over source/http: this folder knows the address,
// the parameters and the members of a contact; paging, waits, limits and proof are those of http.
//
// Needs a credential of kind "http": the secret is the API key, sent as the password of Basic auth; settings user (any
// name does; "headrace"), url (base address, for those who do not use https://yespo.io/api/v1), ca_file.
// Errors: those of source/http/http.hpp.
#pragma once

#include "source/http/http.hpp"

namespace headrace::source::yespo {

pipeline::SourceType type(http::EgressCheck egress_check, std::shared_ptr<http::Paces> paces);

// Throws pipeline.invalid, config.invalid, credential.host_denied.
http::Config make_config(const pipeline::Part& part, const pipeline::Credential& credential);

}  // namespace headrace::source::yespo
