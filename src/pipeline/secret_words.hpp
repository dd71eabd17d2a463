// Finds secrets that were written into a pipeline file. Such a file lives in Git and is shown on the page: it may only
// name a credential. Guesses on the safe side: names of keys, and shapes that only secrets have.
#pragma once

#include <string_view>

namespace headrace::pipeline {

// "password", "clientSecret", "api-key", "Authorization"…
bool is_secret_name(std::string_view key);

// A private key, "scheme://user:password@host", "Bearer …", a URL parameter such as ?api_key=….
bool is_secret_value(std::string_view text);

}  // namespace headrace::pipeline
