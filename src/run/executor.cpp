#include "run/executor.hpp"

#include "base/log.hpp"
#include "pipeline/parse.hpp"
#include "run/attempt.hpp"
#include "run/redis_outputs.hpp"

#include <algorithm>

namespace headrace::run {
namespace {

class PipelineWork final : public Work {
public:
    PipelineWork(Services& services, const RunHead& head, StopToken job_stop)
        : services_(services), head_(head), job_stop_(std::move(job_stop)) {}

    std::vector<OutputSpec> outputs() override {
        auto parsed = pipeline::parse_definition(head_.definition, head_.pipeline + ".yaml", services_.registry);
        if (!parsed.ok()) {
            throw Error(ErrorKind::invalid, "pipeline.invalid", parsed.problems.front().text());
        }
        definition_ = std::move(parsed.definition);
        if (head_.trigger == "republish") {
            leave_out_ledger_sinks();
        }
        return output_specs(services_.registry, definition_);
    }

    const pipeline::Definition& definition() const override { return definition_; }

    Journal& begin(const Claim& claim) override {
        journal_ = std::make_shared<Journal>(
            head_.run_id, head_.pipeline, claim.attempt_id, claim.attempt, claim.last_log_seq, services_.redactor
        );
        services_.journal.open(journal_);
        deadline_ = Deadline::in(definition_.timeout);
        lease_.reset(new LeaseKeeper::Guard(services_.keeper.keep(claim.attempt_id, stop_, deadline_, job_stop_)));
        attempt_.emplace(services_, head_, definition_, claim, *journal_, stop_, deadline_);
        return *journal_;
    }

    std::shared_ptr<const void> lease() const override { return lease_; }

    StopToken stop() const override { return stop_.token(); }

    Deadline deadline() const override { return deadline_; }

    Sealed stage() override { return attempt_->run(); }

    void settle(bool keep) noexcept override {
        if (keep) {
            attempt_->keep_staging();
        }
        attempt_.reset();
    }

    void close_journal() override {
        if (!services_.journal.close(journal_)) {
            log::warn("the journal of a run is late", {{"run", head_.run_id}});
        }
    }

    void state_changed() override { services_.journal.state_changed(head_.run_id, head_.pipeline); }

private:
    // Redis lost an output; what the ledger's database holds it has, and appending it again would double it.
    void leave_out_ledger_sinks() {
        std::erase_if(definition_.sinks, [&](const pipeline::Part& part) {
            const auto& types = services_.registry.sinks();
            return std::any_of(types.begin(), types.end(), [&](const pipeline::SinkType& type) {
                return type.name == part.type && type.in_ledger;
            });
        });
    }

    Services& services_;
    const RunHead& head_;
    StopToken job_stop_;
    pipeline::Definition definition_;
    std::shared_ptr<Journal> journal_;
    StopSource stop_;
    Deadline deadline_ = Deadline::never();
    std::shared_ptr<const LeaseKeeper::Guard> lease_;
    std::optional<Attempt> attempt_;
};

}  // namespace

Done Executor::execute(const Delivery& delivery, const StopToken& job_stop) {
    RedisOutputs outputs(services_.cache, job_stop);
    const Hands hands{services_.ledger, outputs, services_.owed, services_.keeper.identity(), services_.lease};
    return run_course(hands, delivery, [&](const RunHead& head) {
        return std::make_unique<PipelineWork>(services_, head, job_stop);
    });
}

}  // namespace headrace::run
