#include "app/simulated_bigquery.hpp"

#include <fstream>
#include <iterator>

namespace headrace::app {
namespace {

constexpr const char* sample_project = "bdi-chat-va";
constexpr const char* reference_table = "bdi-chat-va.n8n_oss.reference=5000";
constexpr const char* projects_table = "bdi-chat-va.n8n_oss.projects=20000";

}  // namespace

bool SimulatedBigQuery::start(const StopToken& stop) {
    return process_.start(
        dir_,
        "bigquery_simulator",
        {"--project",
         sample_project,
         "--table",
         reference_table,
         "--table",
         projects_table,
         "--key-file",
         dir_ + "/key.json"},
        stop
    );
}

Secret SimulatedBigQuery::key_file() const {
    std::ifstream in(dir_ + "/key.json", std::ios::binary);
    return Secret({std::istreambuf_iterator<char>(in), {}});
}

}  // namespace headrace::app
