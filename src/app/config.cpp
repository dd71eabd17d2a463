#include "app/config.hpp"

#include "base/error.hpp"
#include "base/units.hpp"
#include "pipeline/suggest.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <functional>

namespace headrace::app {
namespace {

// One value: its key in headrace.yaml, its variable, and how it is set. `set` throws a sentence when the text is no
// good.
struct Entry {
    std::string_view key;
    std::string_view variable;
    std::string_view example;
    std::function<void(Config&, const std::string&)> set;
    std::function<std::string(const Config&)> shown;
};

std::chrono::milliseconds duration(const std::string& text) {
    const auto value = parse_duration(text);
    if (!value || value->count() < 50) {
        throw std::invalid_argument("a duration with a unit is wanted: 500ms, 5s, 1m");
    }
    return *value;
}

std::string one_of(const std::string& text, std::initializer_list<std::string_view> choices) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
        throw std::invalid_argument(fmt::format("one of {} is wanted", fmt::join(choices, ", ")));
    }
    return text;
}

unsigned concurrency(const std::string& text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > 64) {
        throw std::invalid_argument("a number from 1 to 64 is wanted");
    }
    return value;
}

net::Egress egress(const std::string& text) {
    try {
        return net::Egress::parse(text);
    } catch (const Error& error) {
        throw std::invalid_argument(error.message());
    }
}

std::string masked(const Secret& secret) {
    return secret.empty() ? "" : "***";
}

const std::vector<Entry>& entries() {
    static const std::vector<Entry> all = {
        {"database_url",
         "DATABASE_URL",
         "postgres://etl:secret@127.0.0.1/etl",
         [](Config& c, const std::string& v) { c.database_url = v; },
         [](const Config& c) { return mask_url(c.database_url); }},
        {"redis_url",
         "REDIS_URL",
         "redis://127.0.0.1:6379/0",
         [](Config& c, const std::string& v) { c.redis_url = v; },
         [](const Config& c) { return mask_url(c.redis_url); }},
        {"cache_redis_url",
         "CACHE_REDIS_URL",
         "redis://127.0.0.1:6380/0",
         [](Config& c, const std::string& v) { c.cache_redis_url = v; },
         [](const Config& c) { return mask_url(c.cache_redis_url); }},
        {"key_file",
         "HEADRACE_KEY_FILE",
         "/run/secrets/headrace_key",
         [](Config& c, const std::string& v) { c.key_file = v; },
         [](const Config& c) { return c.key_file; }},
        {"session_secret",
         "SESSION_SECRET",
         "32 random characters or more",
         [](Config& c, const std::string& v) { c.session_secret = Secret(v); },
         [](const Config& c) { return masked(c.session_secret); }},
        {"pipelines",
         "HEADRACE_PIPELINES",
         "pipelines",
         [](Config& c, const std::string& v) { c.pipelines = v; },
         [](const Config& c) { return c.pipelines; }},
        {"listen",
         "HEADRACE_LISTEN",
         "127.0.0.1:8090",
         [](Config& c, const std::string& v) { c.listen = v; },
         [](const Config& c) { return c.listen; }},
        {"web",
         "HEADRACE_WEB",
         "web/dist",
         [](Config& c, const std::string& v) { c.web = v; },
         [](const Config& c) { return c.web; }},
        {"address_file",
         "HEADRACE_ADDRESS_FILE",
         "run/api.address",
         [](Config& c, const std::string& v) { c.address_file = v; },
         [](const Config& c) { return c.address_file; }},
        {"log",
         "HEADRACE_LOG",
         "json",
         [](Config& c, const std::string& v) {
             c.log_json = one_of(v, {"json", "text"}) == "json";
         },
         [](const Config& c) { return std::string(c.log_json ? "json" : "text"); }},
        {"log_level",
         "HEADRACE_LOG_LEVEL",
         "info",
         [](Config& c, const std::string& v) {
             c.log_level = one_of(v, {"debug", "info", "warn", "error"});
         },
         [](const Config& c) { return c.log_level; }},
        {"worker_concurrency",
         "HEADRACE_WORKER_CONCURRENCY",
         "2",
         [](Config& c, const std::string& v) { c.worker_concurrency = concurrency(v); },
         [](const Config& c) { return std::to_string(c.worker_concurrency); }},
        {"egress_allow",
         "HEADRACE_EGRESS_ALLOW",
         "10.1.0.0/16 192.168.1.7",
         [](Config& c, const std::string& v) {
             c.egress = egress(v);
             c.egress_allow = v;
         },
         [](const Config& c) { return c.egress_allow; }},
        {"worker_name",
         "HEADRACE_WORKER_NAME",
         "worker-1",
         [](Config& c, const std::string& v) { c.worker_name = v; },
         [](const Config& c) { return c.worker_name; }},
        {"lease",
         "HEADRACE_LEASE",
         "60s",
         [](Config& c, const std::string& v) { c.lease = duration(v); },
         [](const Config& c) { return format_duration(c.lease); }},
        {"sweep",
         "HEADRACE_SWEEP",
         "5s",
         [](Config& c, const std::string& v) { c.sweep = duration(v); },
         [](const Config& c) { return format_duration(c.sweep); }},
        {"queue",
         "HEADRACE_QUEUE",
         "etl",
         [](Config& c, const std::string& v) { c.queue = v; },
         [](const Config& c) { return c.queue; }},
        {"queue_prefix",
         "HEADRACE_QUEUE_PREFIX",
         "bull",
         [](Config& c, const std::string& v) { c.queue_prefix = v; },
         [](const Config& c) { return c.queue_prefix; }},
        {"events_stream",
         "HEADRACE_EVENTS_STREAM",
         "headrace:events",
         [](Config& c, const std::string& v) { c.events_stream = v; },
         [](const Config& c) { return c.events_stream; }},
    };
    return all;
}

Error invalid(const std::string& where, const std::string& what) {
    return {ErrorKind::invalid, "config.invalid", where + ": " + what};
}

void apply(Config& config, const Entry& entry, const std::string& value, const std::string& origin) {
    try {
        entry.set(config, value);
    } catch (const std::invalid_argument& e) {
        throw invalid(origin, fmt::format("{} is `{}`: {}", entry.key, value, e.what()));
    }
    config.origins[std::string(entry.key)] = origin;
}

void read_file(Config& config, const std::string& file) {
    YAML::Node root;
    try {
        root = YAML::LoadFile(file);
    } catch (const YAML::Exception& e) {
        throw invalid(fmt::format("{}:{}:{}", file, e.mark.line + 1, e.mark.column + 1), e.msg);
    }
    if (!root.IsMap()) {
        throw invalid(file, "a list of `key: value` lines is wanted");
    }
    for (const auto& pair : root) {
        const auto key = pair.first.as<std::string>();
        const auto where = fmt::format("{}:{}:{}", file, pair.first.Mark().line + 1, pair.first.Mark().column + 1);
        const auto entry =
            std::find_if(entries().begin(), entries().end(), [&](const Entry& e) { return e.key == key; });
        if (entry == entries().end()) {
            std::vector<std::string_view> keys;
            for (const auto& known : entries()) {
                keys.push_back(known.key);
            }
            throw invalid(where, fmt::format("unknown key `{}`{}", key, pipeline::did_you_mean(key, keys)));
        }
        if (!pair.second.IsScalar()) {
            throw invalid(where, fmt::format("{} wants one value", key));
        }
        apply(config, *entry, pair.second.as<std::string>(), fmt::format("{}:{}", file, pair.first.Mark().line + 1));
    }
}

std::string host_name() {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return name;
}

}  // namespace

Config load_config() {
    Config config;
    config.log_json = ::isatty(STDERR_FILENO) == 0;
    config.worker_name = fmt::format("{}-{}", host_name(), ::getpid());
    for (const auto& entry : entries()) {
        config.origins[std::string(entry.key)] = "default";
    }
    const char* named = std::getenv("HEADRACE_CONFIG");
    const std::string file = named != nullptr ? named : "headrace.yaml";
    if (named != nullptr || std::filesystem::exists(file)) {
        read_file(config, file);
    }
    for (const auto& entry : entries()) {
        if (const char* value = std::getenv(std::string(entry.variable).c_str()); value != nullptr && *value != '\0') {
            apply(config, entry, value, fmt::format("environment {}", entry.variable));
        }
    }
    if (config.cache_redis_url.empty()) {
        config.cache_redis_url = config.redis_url;
        config.origins["cache_redis_url"] = "as redis_url";
    }
    return config;
}

void require(const std::string& value, std::string_view variable) {
    if (!value.empty()) {
        return;
    }
    const auto entry =
        std::find_if(entries().begin(), entries().end(), [&](const Entry& e) { return e.variable == variable; });
    throw Error(ErrorKind::invalid, "config.missing", fmt::format("{} is not set", variable))
        .with_hint(fmt::format(
            "Set {} in the environment or `{}:` in headrace.yaml, e.g. {}.", variable, entry->key, entry->example
        ));
}

std::string print_config(const Config& config) {
    std::string out;
    for (const auto& entry : entries()) {
        out +=
            fmt::format("{:20} {:40} {}\n", entry.key, entry.shown(config), config.origins.at(std::string(entry.key)));
    }
    return out;
}

}  // namespace headrace::app
