#include "base/killpoint.hpp"

#ifdef HEADRACE_KILLPOINTS

#include "base/error.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace headrace {
namespace {

struct Plan {
    std::string point;
    std::string action = "kill";
    int at = 1;

    Plan() {
        const char* text = std::getenv("HEADRACE_KILL_AT");
        if (text == nullptr) {
            return;
        }
        point = text;
        if (auto colon = point.find(':'); colon != std::string::npos) {
            action = point.substr(colon + 1);
            point.resize(colon);
        }
        if (auto hash = point.find('#'); hash != std::string::npos) {
            at = std::atoi(point.c_str() + hash + 1);
            point.resize(hash);
        }
    }
};

}  // namespace

void kill_point(const char* name) {
    static const Plan plan;
    static std::atomic<int> seen{0};
    if (plan.point != name || ++seen != plan.at) {
        return;
    }
    if (plan.action == "throw") {
        throw Error(ErrorKind::transient, "internal.bug", std::string("kill point ") + name);
    }
    std::raise(plan.action == "stop" ? SIGSTOP : SIGKILL);
}

bool is_mutant(const char* name) {
    static const char* chosen = std::getenv("HEADRACE_MUTANT");
    return chosen != nullptr && std::string_view(chosen) == name;
}

}  // namespace headrace

#endif
