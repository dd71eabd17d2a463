// The installation that the proof breaks: a Stack whose outputs live in a second Redis, and pipelines whose rows carry
// a mark of the attempt that read them ("@<version>:<random number>@").
#pragma once

#include "proof/ledger_check.hpp"
#include "proof/output_reader.hpp"
#include "proof/table_watch.hpp"
#include "support/stack.hpp"

#include <string>
#include <vector>

namespace headrace::proof {

class Installation {
public:
    Installation();

    // One pipeline with all kinds of Redis outputs and, where asked, of Postgres tables.
    void add_pipeline(const std::string& name, long rows, bool with_tables);
    support::HeadraceProcess::Env environment() const;

    support::Stack& stack() { return stack_; }

    const std::vector<Output>& outputs() const { return outputs_; }

    const std::vector<Table>& tables() const { return tables_; }

    const std::vector<std::string>& pipelines() const { return pipelines_; }

    const std::string& cache_url() const { return cache_url_; }

private:
    support::Stack stack_;
    std::string cache_url_;
    std::vector<std::string> pipelines_;
    std::vector<Output> outputs_;
    std::vector<Table> tables_;
};

}  // namespace headrace::proof
