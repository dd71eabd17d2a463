// Inside of the library: the error for a caller who asks for what no queue can do.
#pragma once

#include "base/error.hpp"

#include <string>
#include <utility>

namespace headrace::bullmq {

inline Error invalid(std::string message) {
    return {ErrorKind::invalid, "config.invalid", std::move(message)};
}

}  // namespace headrace::bullmq
