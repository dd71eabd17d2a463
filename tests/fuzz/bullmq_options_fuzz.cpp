// libFuzzer: any text as the stored options of a job. What is understood, written again and read again is the same.
#include "base/error.hpp"
#include "bullmq/options.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace headrace::bullmq;
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    auto options = parse_options(text);
    const auto repeat = parse_repeat(text);
    pack_options(options);
    for (const auto& policy : {options.remove_on_complete, options.remove_on_fail}) {
        if (policy) {
            keep_jobs(*policy);
        }
    }
    boost::system::error_code error;
    if (auto value = boost::json::parse(text, error); !error && value.is_object()) {
        // The next run of a scheduler: what it repeats is what it was told.
        const auto next = run_options(value.as_object(), repeat, "scheduler", std::nullopt, 1);
        const auto again = parse_repeat(boost::json::serialize(next));
        if (again.every != repeat.every || (repeat.every.count() == 0 && again.pattern != repeat.pattern)) {
            std::abort();
        }
    }
    if (options.backoff) {
        options.backoff->jitter.reset();  // Boost.JSON reads fractions to the last bit but one
    }
    const auto first = boost::json::serialize(options_object(options));
    const auto second = boost::json::serialize(options_object(parse_options(first)));
    if (first != second) {
        std::abort();
    }
    try {
        check_options(options, text);
    } catch (const headrace::Error&) {
        return 0;  // refused: that is an answer
    }
    if (options.backoff) {
        backoff_delay(*options.backoff, 3, 0.5);
    }
    return 0;
}
