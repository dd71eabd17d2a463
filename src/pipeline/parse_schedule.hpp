// `schedule:` of a pipeline file.
#pragma once

#include "pipeline/definition.hpp"
#include "pipeline/reader.hpp"
#include "pipeline/yaml.hpp"

namespace headrace::pipeline {

void read_schedule(Problems& problems, const yaml::Node& node, Definition& out);

// `schedule.timezone` alone; the definition has a schedule.
void read_zone(Problems& problems, const yaml::Node& node, Definition& out);

}  // namespace headrace::pipeline
