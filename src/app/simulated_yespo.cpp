#include "app/simulated_yespo.hpp"

#include "base/ids.hpp"

#include <fmt/core.h>

namespace headrace::app {

SimulatedYespo::SimulatedYespo(std::string dir)
    : dir_(std::move(dir)),
      accounts_{
          {"yespo_ovago", "100100", 6'000, Secret(random_token(16))},
          {"yespo_brand_b", "200200", 1'500, Secret(random_token(16))}} {}

bool SimulatedYespo::start(const StopToken& stop) {
    std::vector<std::string> arguments;
    for (const auto& account : accounts_) {
        arguments.emplace_back("--group");
        arguments.push_back(fmt::format("{}={}={}", account.group, account.contacts, account.key.reveal()));
    }
    return process_.start(dir_, "yespo_simulator", arguments, stop);
}

std::string SimulatedYespo::host() const {
    const auto rest = url().substr(std::string_view("http://").size());
    return rest.substr(0, rest.find('/'));
}

}  // namespace headrace::app
