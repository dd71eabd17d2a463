// How a call of the Storage Read API ended, in the words of a source. Pure.
#pragma once

#include "base/error.hpp"
#include "source/bigquery/storage/wire.hpp"

#include <string_view>

namespace headrace::source::bigquery::storage {

// The same call again, after a wait: the connection broke, or the server says when. What is out of quota is not.
bool worth_repeating(const Outcome& outcome);

// `outcome` is not ok. "BigQuery refused to <doing>: …".
Error to_error(const Outcome& outcome, std::string_view doing);

}  // namespace headrace::source::bigquery::storage
