#include "base/process_stats.hpp"

#include <sys/resource.h>

#include <fstream>
#include <string>

namespace headrace {
namespace {

std::uint64_t status_kib(const std::string& key) {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;) {
        if (word == key) {
            std::uint64_t value = 0;
            in >> value;
            return value;
        }
    }
    return 0;
}

}  // namespace

std::uint64_t peak_rss_bytes() {
    return status_kib("VmHWM:") * 1024;
}

std::uint64_t current_rss_bytes() {
    return status_kib("VmRSS:") * 1024;
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace headrace
