// How a pipeline runs: the parts of its file that say nothing about the rows, and how many bad ones may be among them.
#pragma once

#include "pipeline/definition.hpp"
#include "pipeline/reader.hpp"
#include "pipeline/yaml.hpp"

namespace headrace::pipeline {

// retry, timeout, limits, owner, tags of `root`: also used for the defaults alone.
void read_running(Problems& problems, const yaml::Node& root, Definition& out);

// `on_reject:`, a map.
void read_on_reject(Problems& problems, const yaml::Node& node, Definition& out);

}  // namespace headrace::pipeline
