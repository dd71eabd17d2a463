// A Redis that nobody runs: for what must answer without one.
#pragma once

#include "redis/options.hpp"

namespace headrace::support {

inline redis::Options no_redis() {
    redis::Options options;
    options.address.host = "127.0.0.1";
    options.address.port = 1;
    return options;
}

}  // namespace headrace::support
