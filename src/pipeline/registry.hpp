// What the program can do: one entry per connector, made by hand in app/registry.cpp. From the option specs come the
// checks of a pipeline file, the JSON Schema for editors and the tables in docs/pipelines.md.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "pipeline/connection_test.hpp"
#include "pipeline/definition.hpp"
#include "pipeline/sink.hpp"
#include "pipeline/source.hpp"
#include "pipeline/transform.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::pipeline {

enum class OptionKind { text, sql, integer, number, boolean, duration, bytes, choice, text_list, text_map };

// "needed when option `as` is hash".
struct NeededFor {
    std::string_view option;
    std::vector<std::string_view> values;
};

struct OptionSpec {
    std::string_view name;
    OptionKind kind = OptionKind::text;
    bool required = false;
    std::string_view default_value = "";
    std::string_view help;                       // one sentence
    std::vector<std::string_view> choices = {};  // kind choice
    NeededFor needed_for = {};                   // needed with these values of a choice that stands before it
};

// A resolved credential: settings are public (host, user …), the secret is not.
struct Credential {
    std::string name;
    std::string kind;                                          // "bigquery", "clickhouse", "redis", "postgres", "http"
    std::map<std::string, std::string, std::less<>> settings;  // "url", "user", "database" …
    Secret secret;                                             // password or token
    std::vector<std::string> allowed_hosts;                    // host[:port]; the secret goes nowhere else
};

// What credentials of one kind are for. `test` runs its steps in order: host, dns, connect, tls, login, call,
// permission, as far as there are such; it lets through what a step throws. Nothing is changed at the far side.
struct CredentialType {
    std::string_view kind;
    std::function<void(const Credential&, ConnectionTest&)> test;
};

struct SourceType {
    std::string_view name;
    std::string_view help;
    std::vector<OptionSpec> options;
    bool needs_credential = true;
    std::function<std::unique_ptr<Source>(const Part&, const Credential&)> make;
    bool incremental = false;  // it implements Source::restrict
};

struct SinkType {
    std::string_view name;
    std::string_view help;
    std::vector<OptionSpec> options;
    bool needs_credential = false;  // false: the installation's own cache / database unless one is named
    // `credential` is null when none is named.
    std::function<std::unique_ptr<Sink>(const Definition&, const Part&, const Credential*)> make;
    // Name of the output, unique within the pipeline, e.g. "redis:cache:ch.top_dests".
    // Throws pipeline.invalid for options that do not go together: the parser reports it with the sink's place.
    std::function<std::string(const Definition&, const Part&)> output_name;
    // Its outputs are part of the decision and cannot be lost without it: a run that only publishes again leaves them
    // out.
    bool in_ledger = false;
    // Whether it may get a row again that it has already: what an incremental read gives, at its edge and within its
    // lag. Null: never.
    std::function<bool(const Part&)> takes_rows_again = {};
    bool keeps_chunks = false;  // it implements Sink::close_chunk
};

struct TransformType {
    std::string_view name;
    std::string_view help;
    std::vector<OptionSpec> options;
    std::function<std::unique_ptr<Transform>(const Part&)> make;
    bool remembers_rows = false;  // what it does to a row depends on the rows before it
};

struct CheckType {
    std::string_view name;
    std::string_view help;
    std::vector<OptionSpec> options;
    std::function<std::unique_ptr<Check>(const Part&)> make;
    bool remembers_rows = false;  // what it says of a row depends on the rows before it
};

// For a definition that was checked against this registry; throws pipeline.invalid when this program is older than it.
template <class Type>
const Type& find_type(const std::vector<Type>& types, std::string_view name) {
    for (const auto& type : types) {
        if (type.name == name) {
            return type;
        }
    }
    throw Error(
        ErrorKind::invalid, "pipeline.invalid", "this program does not know the type `" + std::string(name) + "`"
    );
}

class Registry {
public:
    void add(SourceType type) { sources_.push_back(std::move(type)); }

    void add(CredentialType type) { credentials_.push_back(std::move(type)); }

    void add(SinkType type) { sinks_.push_back(std::move(type)); }

    void add(TransformType type) { transforms_.push_back(std::move(type)); }

    void add(CheckType type) { checks_.push_back(std::move(type)); }

    const std::vector<SourceType>& sources() const { return sources_; }

    const std::vector<CredentialType>& credentials() const { return credentials_; }

    const std::vector<SinkType>& sinks() const { return sinks_; }

    const std::vector<TransformType>& transforms() const { return transforms_; }

    const std::vector<CheckType>& checks() const { return checks_; }

private:
    std::vector<SourceType> sources_;
    std::vector<CredentialType> credentials_;
    std::vector<SinkType> sinks_;
    std::vector<TransformType> transforms_;
    std::vector<CheckType> checks_;
};

}  // namespace headrace::pipeline
