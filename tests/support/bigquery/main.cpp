// bigquery_simulator: the simulator as a program, for `headrace dev` and for the Node tests. Serves until SIGTERM.
//   --port N            0: the kernel chooses          --address-file F    gets http://127.0.0.1:PORT, and a line for
//   Storage Read
//   --key-file F        gets a service account's key file that it accepts (mode 0600)
//   --table NAME=ROWS   eight mixed columns; project.dataset.table; several
//   --every-type NAME   a table with a column of each type
//   --page-rows N       --no-auth         --response-rows N   of Storage Read, which is served on a port of its own
//   --fault ON:WHAT:NTH:TIMES:AT:TEXT
#include "support/bigquery/simulator.hpp"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

using namespace headrace::support::bigquery;

struct Arguments {
    SimulatorOptions options;
    std::string address_file;
    std::string key_file;
    std::vector<Table> tables;
    std::vector<Fault> faults;
};

Fault parse_fault(std::string text) {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < 5; ++i) {
        const auto colon = text.find(':');
        parts.push_back(text.substr(0, colon));
        text = colon == std::string::npos ? "" : text.substr(colon + 1);
    }
    return {parts[0], parts[1], std::stol("0" + parts[4]), text, std::stoi(parts[2]), std::stoi(parts[3])};
}

void take(Arguments& out, const std::string& name, const std::string& value) {
    if (name == "--port") {
        out.options.port = static_cast<std::uint16_t>(std::stoi(value));
    } else if (name == "--project") {
        out.options.project = value;
    } else if (name == "--page-rows") {
        out.options.page_rows = std::stoull(value);
    } else if (name == "--response-rows") {
        out.options.response_rows = std::stoull(value);
    } else if (name == "--address-file") {
        out.address_file = value;
    } else if (name == "--key-file") {
        out.key_file = value;
    } else if (name == "--every-type") {
        out.tables.push_back(every_type_table(value));
    } else if (name == "--table") {
        const auto equals = value.find('=');
        out.tables.push_back(mixed_table(value.substr(0, equals), std::stoull(value.substr(equals + 1))));
    } else if (name == "--fault") {
        out.faults.push_back(parse_fault(value));
    } else {
        throw std::runtime_error("unknown option " + name + " (see the head of main.cpp)");
    }
}

Arguments parse(int count, char** words) {
    Arguments out;
    out.options.storage = true;
    for (int i = 1; i < count; ++i) {
        const std::string name = words[i];
        if (name == "--no-auth") {
            out.options.require_auth = false;
        } else if (i + 1 < count) {
            take(out, name, words[++i]);
        } else {
            throw std::runtime_error(name + " needs a value");
        }
    }
    return out;
}

// Readers see the whole file or none.
void write_file(const std::string& path, const std::string& text) {
    if (path.empty()) {
        return;
    }
    const auto fresh = path + ".new";
    std::ofstream(fresh) << text;
    std::filesystem::permissions(fresh, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::filesystem::rename(fresh, path);
}

}  // namespace

int main(int count, char** words) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    try {
        auto arguments = parse(count, words);
        Simulator simulator(arguments.options);
        for (auto& table : arguments.tables) {
            simulator.add(std::move(table));
        }
        for (auto& fault : arguments.faults) {
            simulator.inject(std::move(fault));
        }
        write_file(arguments.key_file, simulator.key_file());
        write_file(arguments.address_file, simulator.url() + "\n" + simulator.storage_url() + "\n");
        std::printf(
            "simulator of BigQuery, not Google's: %s Storage Read: %s\n",
            simulator.url().c_str(),
            simulator.storage_url().c_str()
        );
        std::fflush(stdout);
        int number = 0;
        sigwait(&signals, &number);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bigquery_simulator: %s\n", error.what());
        return 1;
    }
}
