#include "pipeline/connection_test.hpp"

#include <utility>

namespace headrace::pipeline {

void ConnectionTest::step(std::string_view name, const std::function<std::string()>& work, std::string_view hint) {
    const auto start = Deadline::Clock::now();
    const auto end = [&](TestStep step) {
        step.name = name;
        step.took = std::chrono::duration_cast<std::chrono::microseconds>(Deadline::Clock::now() - start);
        steps_.push_back(std::move(step));
        if (told_) {
            told_(steps_.back());
        }
    };
    try {
        auto found = work();
        end({.name = {}, .ok = true, .detail = std::move(found), .code = {}, .hint = {}});
    } catch (const Error& error) {
        end(
            {.name = {},
             .ok = false,
             .detail = error.message(),
             .code = error.code(),
             .hint = hint.empty() ? std::string(error.hint()) : std::string(hint)}
        );
        throw;
    }
}

}  // namespace headrace::pipeline
