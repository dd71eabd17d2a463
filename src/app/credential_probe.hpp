// A stored credential, tried step by step; for the command and for the API.
#pragma once

#include "credential/store.hpp"
#include "pipeline/registry.hpp"

#include <functional>
#include <string>
#include <vector>

namespace headrace::app {

// The first step decrypts, the others are those of the credential's kind; the last one shows whether all went well.
// One minute at most. Throws credential.not_found and net.cancelled; everything else is a failed step.
std::vector<pipeline::TestStep> test_credential(
    const credential::Store& store,
    const pipeline::Registry& registry,
    postgres::Connection& db,
    const std::string& name,
    const StopToken& stop,
    const std::function<void(const pipeline::TestStep&)>& told = {}
);

}  // namespace headrace::app
