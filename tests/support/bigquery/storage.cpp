// The simulator's Storage Read API. Faults on `session`: status (`text`: a code's name, perhaps ":message"), hang,
// schema
// (`text` in place of the right one), no_streams. Faults on `read` happen behind `at` whole responses of that call:
// status, end (OK, too early), hang, huge (`at` bytes), and of the response that comes then: cut_row, more_bytes,
// varint, length, branch, bad_text, row_count, empty, schema, packed, throttle; of the call: ignore_offset, drip (a row
// a response).
#include "storage.grpc.pb.h"
#include "support/bigquery/avro.hpp"
#include "support/bigquery/simulator_parts.hpp"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <stdexcept>

namespace headrace::support::bigquery {
namespace {

namespace api = google::cloud::bigquery::storage::v1;

constexpr std::size_t most_kept = std::size_t{256} << 20;  // of rendered responses
constexpr int most_streams = 16;

grpc::StatusCode code_named(std::string_view name) {
    static const std::map<std::string_view, grpc::StatusCode> codes = {
        {"CANCELLED", grpc::StatusCode::CANCELLED},
        {"UNKNOWN", grpc::StatusCode::UNKNOWN},
        {"INVALID_ARGUMENT", grpc::StatusCode::INVALID_ARGUMENT},
        {"DEADLINE_EXCEEDED", grpc::StatusCode::DEADLINE_EXCEEDED},
        {"NOT_FOUND", grpc::StatusCode::NOT_FOUND},
        {"PERMISSION_DENIED", grpc::StatusCode::PERMISSION_DENIED},
        {"RESOURCE_EXHAUSTED", grpc::StatusCode::RESOURCE_EXHAUSTED},
        {"FAILED_PRECONDITION", grpc::StatusCode::FAILED_PRECONDITION},
        {"ABORTED", grpc::StatusCode::ABORTED},
        {"OUT_OF_RANGE", grpc::StatusCode::OUT_OF_RANGE},
        {"UNIMPLEMENTED", grpc::StatusCode::UNIMPLEMENTED},
        {"INTERNAL", grpc::StatusCode::INTERNAL},
        {"UNAVAILABLE", grpc::StatusCode::UNAVAILABLE},
        {"DATA_LOSS", grpc::StatusCode::DATA_LOSS},
        {"UNAUTHENTICATED", grpc::StatusCode::UNAUTHENTICATED}};
    return codes.at(name);
}

grpc::Status status_of(const Fault& fault) {
    const auto colon = std::min(fault.text.find(':'), fault.text.size());
    const auto name = fault.text.substr(0, colon);
    const auto message =
        colon < fault.text.size() ? fault.text.substr(colon + 1) : fmt::format("simulated: {}", fault.text);
    std::string details;
    if (!fault.retry_after.empty()) {
        api::RetryInfo info;
        info.mutable_retry_delay()->set_seconds(std::stoll(fault.retry_after));
        api::StatusDetails status;
        status.set_code(code_named(name));
        auto* one = status.add_details();
        one->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
        one->set_value(info.SerializeAsString());
        details = status.SerializeAsString();
    }
    return {code_named(name), message, details};
}

std::string metadata_of(const grpc::ServerContext& context, const std::string& name) {
    const auto found = context.client_metadata().find(name);
    return found == context.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
}

// What a fault makes of a response.
void damage(const Fault& fault, api::ReadRowsResponse& response) {
    auto& rows = *response.mutable_avro_rows()->mutable_serialized_binary_rows();
    const auto& what = fault.what;
    if (what == "cut_row") {
        rows.resize(rows.size() - 3);
    } else if (what == "more_bytes") {
        rows += "more";
    } else if (what == "varint") {
        rows.replace(1, 0, std::string(11, '\xff'));
    } else if (what == "length") {  // of the second column, a string: -1
        rows.replace(0, 4, std::string("\2\2\2\1", 4));
    } else if (what == "branch") {
        rows[0] = 4;
    } else if (what == "bad_text") {
        rows.replace(0, 5, std::string("\2\2\2\2\xff", 5));
    } else if (what == "row_count") {
        response.set_row_count(response.row_count() + fault.nth);
    } else if (what == "few_rows") {
        response.set_row_count(response.row_count() - 1);
    } else if (what == "schema") {
        response.mutable_avro_schema()->set_schema(R"({"type":"record","name":"other","fields":[]})");
    } else if (what == "packed") {
        response.set_uncompressed_byte_size(1'000'000);
    } else if (what == "throttle") {
        response.mutable_throttle_state()->set_throttle_percent(63);
    } else if (what == "empty") {
        rows.clear();
        response.set_row_count(0);
    } else if (what == "huge") {
        rows.assign(static_cast<std::size_t>(std::stoul(fault.text)), 'x');
    }
}

}  // namespace

struct Simulator::Storage final : api::BigQueryRead::Service {
    using Response = std::shared_ptr<const api::ReadRowsResponse>;

    struct Range {
        std::shared_ptr<const View> view;
        std::shared_ptr<const AvroTable> table;
        std::uint64_t from = 0;
        std::uint64_t rows = 0;
    };

    explicit Storage(Simulator& simulator) : owner(simulator) {
        const auto& options = owner.options_;
        grpc::ServerBuilder builder;
        auto credentials = grpc::InsecureServerCredentials();
        if (!options.certificate.empty()) {
            grpc::SslServerCredentialsOptions tls;
            tls.pem_key_cert_pairs.push_back({options.private_key, options.certificate});
            credentials = grpc::SslServerCredentials(tls);
        }
        builder.AddListeningPort("127.0.0.1:0", credentials, &port);
        builder.RegisterService(this);
        builder.SetMaxSendMessageSize(-1);
        if (options.connection_age_ms > 0) {
            builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, options.connection_age_ms);
            builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, options.connection_age_ms);
        }
        server = builder.BuildAndStart();
        if (!server) {
            throw std::runtime_error("the simulator cannot serve Storage Read");
        }
    }

    ~Storage() override { server->Shutdown(std::chrono::system_clock::now()); }

    grpc::Status CreateReadSession(
        grpc::ServerContext* context,
        const api::CreateReadSessionRequest* request,
        api::ReadSession* session
    ) override;
    grpc::Status ReadRows(
        grpc::ServerContext* context,
        const api::ReadRowsRequest* request,
        grpc::ServerWriter<api::ReadRowsResponse>* writer
    ) override;

    std::optional<Fault> arrive(const char* kind, std::string path, std::uint64_t offset);
    std::optional<grpc::Status> refuse(const grpc::ServerContext& context, const std::string& routing) const;
    void hang(grpc::ServerContext& context);
    Response response(const Range& range, std::uint64_t from, std::uint64_t count);
    grpc::Status serve(
        grpc::ServerContext& context,
        const Range& range,
        std::uint64_t offset,
        const std::optional<Fault>& fault,
        grpc::ServerWriter<api::ReadRowsResponse>& writer
    );

    Simulator& owner;
    int port = 0;
    std::mutex mutex;  // never taken under the owner's, nor the other way round
    std::map<std::string, Range> streams;
    int sessions = 0;
    std::map<std::string, Response> kept;
    std::size_t kept_bytes = 0;
    std::unique_ptr<grpc::Server> server;
};

void Simulator::start_storage() {
    storage_ = {new Storage(*this), [](Storage* it) { delete it; }};
}

std::uint16_t Simulator::storage_port() const {
    return storage_ ? static_cast<std::uint16_t>(storage_->port) : 0;
}

std::string Simulator::storage_url() const {
    return storage_ ? fmt::format("http{}://127.0.0.1:{}", options_.certificate.empty() ? "" : "s", storage_port())
                    : "";
}

std::optional<Fault> Simulator::Storage::arrive(const char* kind, std::string path, std::uint64_t offset) {
    Request request;
    request.path = std::move(path);
    request.query["offset"] = std::to_string(offset);
    {
        const std::lock_guard lock(owner.mutex_);
        owner.seen_.push_back({kind, request.path, request.query, ""});
    }
    auto fault = owner.take_fault(kind, request);
    if (fault && fault->what == "revoke") {
        owner.tokens_.revoke_all();
    }
    return fault;
}

std::optional<grpc::Status> Simulator::Storage::refuse(const grpc::ServerContext& context, const std::string& routing)
    const {
    const auto header = metadata_of(context, "authorization");
    if (owner.options_.require_auth &&
        (!header.starts_with("Bearer ") || !owner.tokens_.good(std::string_view(header).substr(7)))) {
        return grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "Request had invalid authentication credentials.");
    }
    // Where the real service sends the call is decided by this header.
    if (metadata_of(context, "x-goog-request-params").find(routing + "=projects%2F") == std::string::npos) {
        return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "x-goog-request-params lacks " + routing);
    }
    return std::nullopt;
}

void Simulator::Storage::hang(grpc::ServerContext& context) {
    std::unique_lock lock(owner.mutex_);
    while (!context.IsCancelled() &&
           !owner.changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return owner.ending_; })) {
    }
}

grpc::Status Simulator::Storage::CreateReadSession(
    grpc::ServerContext* context,
    const api::CreateReadSessionRequest* request,
    api::ReadSession* session
) {
    const auto& table = request->read_session().table();
    const auto fault = arrive("session", table, 0);
    if (const auto refused = refuse(*context, "read_session.table")) {
        return *refused;
    }
    if (fault && fault->what == "status") {
        return status_of(*fault);
    }
    if (fault && fault->what == "hang") {
        hang(*context);
        return grpc::Status::CANCELLED;
    }
    if (request->parent() != "projects/" + owner.options_.project ||
        request->read_session().data_format() != api::AVRO) {
        return {grpc::StatusCode::INVALID_ARGUMENT, "the simulator knows its project and Avro only"};
    }
    const auto view = owner.table_view(table);
    if (!view) {
        return {grpc::StatusCode::NOT_FOUND, "Not found: Table " + table};
    }
    const auto avro = std::make_shared<const AvroTable>(*view->table, view->columns);
    const auto asked = request->max_stream_count() > 0 ? request->max_stream_count() : 1;
    const auto count = static_cast<std::uint64_t>(std::min<std::int64_t>(asked, most_streams));
    const std::lock_guard lock(mutex);
    session->set_name(fmt::format("projects/{}/locations/eu/sessions/s{}", owner.options_.project, ++sessions));
    session->set_data_format(api::AVRO);
    session->set_table(table);
    session->mutable_avro_schema()->set_schema(fault && fault->what == "schema" ? fault->text : avro->schema());
    session->set_estimated_row_count(static_cast<std::int64_t>(view->rows - view->rows / 10));  // no more than that
    for (std::uint64_t i = 0; i < count && view->rows > 0 && !(fault && fault->what == "no_streams"); ++i) {
        const auto from = view->rows * i / count;
        const auto name = fmt::format("{}/streams/{}", session->name(), i);
        session->add_streams()->set_name(name);
        streams[name] = {view, avro, from, view->rows * (i + 1) / count - from};
    }
    return grpc::Status::OK;
}

Simulator::Storage::Response Simulator::Storage::response(const Range& range, std::uint64_t from, std::uint64_t count) {
    // A view lives as long as its streams, and those as long as this.
    const auto key = fmt::format("{} {} {}", fmt::ptr(range.view.get()), from, count);
    {
        const std::lock_guard lock(mutex);
        if (const auto found = kept.find(key); found != kept.end()) {
            return found->second;
        }
    }
    auto made = std::make_shared<api::ReadRowsResponse>();
    made->set_row_count(static_cast<std::int64_t>(count));
    auto& rows = *made->mutable_avro_rows()->mutable_serialized_binary_rows();
    for (std::uint64_t row = from; row < from + count; ++row) {
        range.table->append(rows, range.view->order.empty() ? row : range.view->order[row]);
    }
    const std::lock_guard lock(mutex);
    if (kept_bytes + rows.size() <= most_kept && kept.emplace(key, made).second) {
        kept_bytes += rows.size();
    }
    return made;
}

grpc::Status Simulator::Storage::ReadRows(
    grpc::ServerContext* context,
    const api::ReadRowsRequest* request,
    grpc::ServerWriter<api::ReadRowsResponse>* writer
) {
    const auto offset = static_cast<std::uint64_t>(request->offset());
    const auto fault = arrive("read", request->read_stream(), offset);
    if (const auto refused = refuse(*context, "read_stream")) {
        return *refused;
    }
    Range range;
    {
        const std::lock_guard lock(mutex);
        const auto found = streams.find(request->read_stream());
        if (found == streams.end()) {
            return {grpc::StatusCode::NOT_FOUND, "Not found: Stream " + request->read_stream()};
        }
        range = found->second;
    }
    if (offset > range.rows) {
        return {grpc::StatusCode::FAILED_PRECONDITION, "the offset is beyond the end of the stream"};
    }
    return serve(*context, range, fault && fault->what == "ignore_offset" ? 0 : offset, fault, *writer);
}

grpc::Status Simulator::Storage::serve(
    grpc::ServerContext& context,
    const Range& range,
    std::uint64_t offset,
    const std::optional<Fault>& fault,
    grpc::ServerWriter<api::ReadRowsResponse>& writer
) {
    const bool drip = fault && fault->what == "drip";
    long number = 0;
    for (auto at = offset; at <= range.rows; ++number) {
        const bool now = fault && number == fault->at;
        if (now && fault->what == "status") {
            return status_of(*fault);
        }
        if (now && fault->what == "end") {
            return grpc::Status::OK;
        }
        if (now && fault->what == "hang") {
            hang(context);
            return grpc::Status::CANCELLED;
        }
        const auto count = std::min<std::uint64_t>(drip ? 1 : owner.options_.response_rows, range.rows - at);
        if (count == 0) {
            break;
        }
        auto next = response(range, range.from + at, count);
        at += count;
        if (now || number == 0) {
            auto changed = std::make_shared<api::ReadRowsResponse>(*next);
            if (number == 0) {
                changed->mutable_avro_schema()->set_schema(range.table->schema());
            }
            if (now) {
                damage(*fault, *changed);
                at -= fault->what == "empty" ? count : 0;
            }
            next = changed;
        }
        if (!writer.Write(*next)) {
            return grpc::Status::CANCELLED;
        }
    }
    return grpc::Status::OK;
}

}  // namespace headrace::support::bigquery
