// The two calls of the Storage Read API, as plain values: what stands between the connector and gRPC. The
// implementation (wire_module.cpp) is a module of its own that is loaded at the first use, because gRPC brings some
// sixty libraries and five megabytes to every process that only might need it.
//
// Calls run by themselves on gRPC's threads; `WireOptions::wake` is called there whenever one has something new. All
// other methods belong to one thread and return at once. Destroying a call cancels it; calls go before their wire.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::source::bigquery::storage {

// Numbers of gRPC's status codes.
enum class Code : int {
    ok = 0,
    cancelled = 1,
    unknown = 2,
    invalid_argument = 3,
    deadline_exceeded = 4,
    not_found = 5,
    permission_denied = 7,
    resource_exhausted = 8,
    failed_precondition = 9,
    aborted = 10,
    out_of_range = 11,
    unimplemented = 12,
    internal = 13,
    unavailable = 14,
    data_loss = 15,
    unauthenticated = 16
};

struct Outcome {
    Code code = Code::ok;
    std::string message;
    std::optional<std::chrono::milliseconds> retry_after;  // RetryInfo
};

struct SessionWish {
    std::string parent;  // "projects/p": is billed
    std::string table;   // "projects/p/datasets/d/tables/t"
    std::string trace_id;
    int max_streams = 1;
};

struct Session {
    std::string schema;                // Avro's, JSON
    std::vector<std::string> streams;  // names; none for a table without rows
};

struct Rows {
    std::string_view bytes;  // Avro
    std::int64_t count = 0;
    std::string_view schema;  // in the first response of a stream; else ""
    int throttle_percent = 0;
    bool plain_avro = true;  // neither compressed nor another format
};

class SessionCall {
public:
    virtual ~SessionCall() = default;
    virtual std::optional<Outcome> outcome() const = 0;  // nullopt: not yet
    virtual Session session() const = 0;                 // once the outcome is ok
};

class RowsCall {
public:
    enum class State { waiting, rows, over };

    virtual ~RowsCall() = default;
    virtual State state() const = 0;
    virtual Rows rows() const = 0;               // in State::rows; its bytes are valid until next()
    virtual void next() = 0;                     // in State::rows: asks for the next response
    virtual const Outcome& outcome() const = 0;  // in State::over
};

struct WireOptions {
    std::string target;                // in gRPC's words: "ipv4:10.0.0.1:443,10.0.0.2:443"
    std::string host;                  // that the certificate must carry; with port where it is not 443
    std::optional<std::string> roots;  // PEM; nullopt: no TLS
    std::size_t most_message_bytes = 0;
    std::function<void()> wake;  // thread-safe, does not throw; may be called until every call has ended
};

class Wire {
public:
    virtual ~Wire() = default;
    virtual std::unique_ptr<SessionCall>
    create_session(const SessionWish& wish, const std::string& token, std::chrono::milliseconds patience) = 0;
    virtual std::unique_ptr<RowsCall>
    read_rows(const std::string& stream, std::int64_t offset, const std::string& token) = 0;
};

// Loads the module. Throws source.unsupported (permanent) when it, or gRPC, is not there.
std::unique_ptr<Wire> open_wire(const WireOptions& options);

}  // namespace headrace::source::bigquery::storage

// The one name that the module shows.
extern "C" __attribute__((visibility("default"))) headrace::source::bigquery::storage::Wire* headrace_make_storage_wire(
    const headrace::source::bigquery::storage::WireOptions* options
);
