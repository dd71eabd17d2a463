// The ledger: claim, decide and the other moves of a run, each one transaction in Postgres (docs/commit-protocol.md).
// Functions take the caller's connection; none keeps state. Lock order everywhere: run row, then outputs by id.
#pragma once

#include "run/claim.hpp"
#include "run/decision.hpp"
#include "run/ending.hpp"
