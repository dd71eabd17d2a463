// yespo_simulator: the simulator as a program, for `headrace dev` and the benchmark. Serves until SIGTERM.
//   --port N              0: the kernel chooses          --address-file F   gets http://127.0.0.1:PORT/api/v1
//   --group ID=MEMBERS=KEY   a group of the account with this API key; several
//   --fault WHAT:NTH:TIMES:AT:TEXT
#include "support/yespo/simulator.hpp"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace {

using headrace::support::yespo::Fault;
using headrace::support::yespo::Simulator;

std::vector<std::string> split(std::string text, char at, std::size_t parts) {
    std::vector<std::string> out;
    while (out.size() + 1 < parts) {
        const auto end = text.find(at);
        out.push_back(text.substr(0, end));
        text = end == std::string::npos ? "" : text.substr(end + 1);
    }
    out.push_back(text);
    return out;
}

void take(Simulator& simulator, const std::string& name, const std::string& value) {
    if (name == "--group") {
        const auto parts = split(value, '=', 3);
        simulator.add_group(parts[0], parts[2], static_cast<std::uint32_t>(std::stoul(parts[1])));
    } else if (name == "--fault") {
        const auto parts = split(value, ':', 5);
        simulator.inject({parts[0], std::stol("0" + parts[3]), parts[4], std::stoi(parts[1]), std::stoi(parts[2])});
    } else {
        throw std::runtime_error("unknown option " + name + " (see the head of main.cpp)");
    }
}

// Readers see the whole file or none.
void write_file(const std::string& path, const std::string& text) {
    if (!path.empty()) {
        std::ofstream(path + ".new") << text;
        std::filesystem::rename(path + ".new", path);
    }
}

}  // namespace

int main(int count, char** words) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    try {
        std::vector<std::pair<std::string, std::string>> options;
        std::string address_file;
        std::uint16_t port = 0;
        for (int i = 1; i < count; i += 2) {
            const std::string name = words[i];
            if (i + 1 == count) {
                throw std::runtime_error(name + " needs a value");
            }
            if (name == "--port") {
                port = static_cast<std::uint16_t>(std::stoi(words[i + 1]));
            } else if (name == "--address-file") {
                address_file = words[i + 1];
            } else {
                options.emplace_back(name, words[i + 1]);
            }
        }
        Simulator simulator(port);
        for (const auto& [name, value] : options) {
            take(simulator, name, value);
        }
        write_file(address_file, simulator.url() + "\n");
        std::printf("simulator of Yespo, not the service: %s\n", simulator.url().c_str());
        std::fflush(stdout);
        int number = 0;
        sigwait(&signals, &number);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "yespo_simulator: %s\n", error.what());
        return 1;
    }
}
