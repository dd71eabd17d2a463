// libFuzzer: any bytes as answers of Redis to a worker and a getter. The first byte chooses how they are cut.
#include "base/error.hpp"
#include "bullmq/events.hpp"
#include "bullmq/scripts.hpp"
#include "redis/resp.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

template <class Read>
void tried(Read&& read) {
    try {
        read();
    } catch (const headrace::Error&) {
        // refused: that is an answer
    }
}

// A command is an array of texts too: what is written must be read back.
void written_and_read(std::string_view text) {
    using namespace headrace;
    const std::string_view args[] = {text.substr(0, text.size() / 2), text.substr(text.size() / 2)};
    std::string out;
    redis::append_command(out, args);
    redis::append_argument(out, static_cast<std::int64_t>(text.size()));
    redis::RespReader reader;
    reader.feed(out);
    const auto command = reader.next();
    const auto number = reader.next();
    if (!command || command->at(0).str() != args[0] || command->at(1).str() != args[1] || !number ||
        number->str() != std::to_string(text.size())) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace headrace;
    if (size == 0) {
        return 0;
    }
    std::string_view rest(reinterpret_cast<const char*>(bytes) + 1, size - 1);
    written_and_read(rest);
    const std::size_t step = 1 + bytes[0] % 64;
    tried([&] {
        redis::RespReader reader;
        while (!rest.empty()) {
            reader.feed(rest.substr(0, step));
            rest.remove_prefix(std::min(step, rest.size()));
            while (auto reply = reader.next()) {
                tried([&] { bullmq::read_job("1", *reply); });
                tried([&] { bullmq::read_event(*reply); });
                tried([&] { bullmq::check_accepted(*reply, "fuzz"); });
                tried([&] { bullmq::fetched(*reply); });
            }
        }
    });
    return 0;
}
