// Effective configuration: defaults, then headrace.yaml in the working directory (or HEADRACE_CONFIG), then the
// environment, which wins. Each value keeps where it came from.
#pragma once

#include "base/secret.hpp"
#include "net/egress.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace headrace::app {

struct Config {
    std::string database_url;                 // DATABASE_URL; holds a password: print only through print_config
    std::string redis_url;                    // REDIS_URL: queue, sessions, live events
    std::string cache_redis_url;              // CACHE_REDIS_URL; default: redis_url
    std::string key_file;                     // HEADRACE_KEY_FILE: master key of the credential store
    Secret session_secret;                    // SESSION_SECRET: signs session cookies, ≥ 32 characters (api only)
    std::string pipelines = "pipelines";      // HEADRACE_PIPELINES: folder with the YAML files
    std::string listen = "127.0.0.1:8090";    // HEADRACE_LISTEN
    std::string web;                          // HEADRACE_WEB: folder of the built page; "" = web/dist when it is there
    std::string address_file;                 // HEADRACE_ADDRESS_FILE: the api writes its address there once it listens
    bool log_json = true;                     // HEADRACE_LOG=json|text; default: json unless stderr is a terminal
    std::string log_level = "info";           // HEADRACE_LOG_LEVEL
    unsigned worker_concurrency = 2;          // HEADRACE_WORKER_CONCURRENCY: runs at once, 1..64
    net::Egress egress;                       // HEADRACE_EGRESS_ALLOW: private addresses that HTTP sources may call
    std::string egress_allow;                 // the same as it was written
    std::string worker_name;                  // HEADRACE_WORKER_NAME; default host-pid
    std::chrono::milliseconds lease{60'000};  // HEADRACE_LEASE
    std::chrono::milliseconds sweep{5'000};   // HEADRACE_SWEEP
    std::string queue = "etl";                // HEADRACE_QUEUE
    std::string queue_prefix = "bull";        // HEADRACE_QUEUE_PREFIX
    std::string events_stream = "headrace:events";  // HEADRACE_EVENTS_STREAM
    std::map<std::string, std::string> origins;     // name → "default", "headrace.yaml:3", "environment DATABASE_URL"
};

// Throws config.invalid (unknown key, bad value; file, line, column, did you mean). Missing values are not an error
// here: whoever needs one calls require().
Config load_config();

// Throws config.missing naming the variable, the key in headrace.yaml and an example, when `value` is empty.
void require(const std::string& value, std::string_view variable);

// One line a value with its origin, secrets masked.
std::string print_config(const Config& config);

}  // namespace headrace::app
