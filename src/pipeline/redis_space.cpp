#include "pipeline/redis_space.hpp"

namespace headrace::pipeline {

std::string_view hash_tag(std::string_view key) {
    const auto open = key.find('{');
    if (open == std::string_view::npos) {
        return {};
    }
    const auto close = key.find('}', open + 1);
    return close == std::string_view::npos ? std::string_view() : key.substr(open + 1, close - open - 1);
}

RedisSpace::RedisSpace(std::string_view output_id, std::string_view live) {
    const auto tag = hash_tag(live);
    base_ =
        tag.empty() ? "{o:" + std::string(output_id) + "}" : "{" + std::string(tag) + "}:o:" + std::string(output_id);
}

}  // namespace headrace::pipeline
