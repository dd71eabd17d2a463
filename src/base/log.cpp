#include "base/log.hpp"

#include "base/json_text.hpp"
#include "base/time.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>

namespace headrace::log {
namespace {

constexpr std::string_view names[] = {"debug", "info", "warn", "error"};

struct Config {
    std::atomic<Level> level{Level::info};
    std::atomic<bool> json{::isatty(STDERR_FILENO) == 0};
    std::string role = "headrace";
};

// The process log is the one thing that belongs to the process and not to an object.
Config& config() {
    static Config instance;
    return instance;
}

std::string json_line(Level level, std::string_view message, std::initializer_list<Field> fields) {
    std::string line = R"({"time":")" + format_rfc3339(headrace::now()) + R"(","level":")";
    line += names[static_cast<int>(level)];
    line += R"(","role":)" + json_string(config().role) + R"(,"message":)" + json_string(message);
    for (const auto& [key, value] : fields) {
        line += ',' + json_string(key) + ':' + json_string(value);
    }
    return line + '}';
}

std::string human_line(Level level, std::string_view message, std::initializer_list<Field> fields) {
    static constexpr std::string_view colours[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m"};
    auto line = fmt::format(
        "{} {}{:5}\x1b[0m {:9} {}",
        format_rfc3339(headrace::now()).substr(11, 12),
        colours[static_cast<int>(level)],
        names[static_cast<int>(level)],
        config().role,
        message
    );
    for (const auto& [key, value] : fields) {
        line += fmt::format("  \x1b[2m{}=\x1b[0m{}", key, value);
    }
    return line;
}

}  // namespace

void set_level(Level level) {
    config().level = level;
}

void set_json(bool json) {
    config().json = json;
}

void set_role(std::string_view role) {
    config().role = std::string(role);
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (level < config().level.load()) {
        return;
    }
    auto line = config().json.load() ? json_line(level, message, fields) : human_line(level, message, fields);
    line += '\n';
    // One write a line: lines of several threads do not mix, and nothing is lost when the process dies.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace headrace::log
