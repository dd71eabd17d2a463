#include "postgres/staging.hpp"

#include <algorithm>

namespace headrace::postgres {

std::string staging_name(std::string_view output_id, std::string_view attempt_id) {
    std::string digits(attempt_id);
    std::erase(digits, '-');
    return "o" + std::string(output_id) + "_" + digits;
}

}  // namespace headrace::postgres
