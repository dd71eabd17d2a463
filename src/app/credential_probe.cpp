#include "app/credential_probe.hpp"

#include "base/redactor.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace headrace::app {
namespace {

constexpr auto patience = std::chrono::minutes(1);

const pipeline::CredentialType& type_of(const pipeline::Registry& registry, const std::string& kind) {
    const auto& known = registry.credentials();
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& type) { return type.kind == kind; });
    if (found == known.end()) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            fmt::format("no connector of this program uses credentials of kind `{}`", kind)
        )
            .with_hint("Store it again with the right --kind and --replace, or remove it.");
    }
    return *found;
}

}  // namespace

std::vector<pipeline::TestStep> test_credential(
    const credential::Store& store,
    const pipeline::Registry& registry,
    postgres::Connection& db,
    const std::string& name,
    const StopToken& stop,
    const std::function<void(const pipeline::TestStep&)>& told
) {
    Redactor redactor;
    std::vector<pipeline::TestStep> steps;
    pipeline::ConnectionTest test(stop, Deadline::in(patience), [&](const pipeline::TestStep& step) {
        auto shown = step;
        shown.detail = redactor.apply(shown.detail);
        steps.push_back(shown);
        if (told && step.code != "credential.not_found" && step.code != "net.cancelled") {  // these are thrown
            told(shown);
        }
    });
    try {
        pipeline::Credential credential;
        const pipeline::CredentialType* type = nullptr;
        test.step("decrypt", [&] {
            auto found = store.resolve(db, name);
            redactor.add(found.secret);
            credential = {
                .name = found.name,
                .kind = found.kind,
                .settings = {found.settings.begin(), found.settings.end()},
                .secret = std::move(found.secret),
                .allowed_hosts = std::move(found.allowed_hosts)};
            type = &type_of(registry, credential.kind);
            return fmt::format("kind {}, version {}", found.kind, found.version);
        });
        type->test(credential, test);
    } catch (const Error& error) {
        // What a step threw is noted already.
        const bool noted = !test.steps().empty() && !test.steps().back().ok;
        if (error.kind() == ErrorKind::cancelled || error.code() == "credential.not_found" || !noted) {
            throw;
        }
    }
    return steps;
}

}  // namespace headrace::app
