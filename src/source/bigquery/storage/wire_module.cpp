// The module behind storage/wire.hpp, and the only source of the program that sees gRPC.
//
// What gRPC calls back must not be the last owner of a channel: closing one joins the threads that call back. So calls
// belong to our thread alone, and destroying one waits until gRPC is through with it: at once, as it was cancelled.
#include "source/bigquery/storage/wire.hpp"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <storage.grpc.pb.h>

#include <condition_variable>
#include <mutex>
#include <utility>

namespace headrace::source::bigquery::storage {
namespace {

namespace api = google::cloud::bigquery::storage::v1;

constexpr int read_ahead_bytes = 1 << 20;  // that gRPC may hold of one stream while we decode
constexpr int frame_bytes = 256 << 10;     // larger than HTTP/2's 16 KiB: fewer steps for the same rows
constexpr int first_reconnect_ms = 100;
constexpr int most_reconnect_ms = 2'000;
constexpr auto longest_goodbye = std::chrono::seconds(10);

std::string percent(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '.' || c == '~';
        if (plain) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

std::optional<std::chrono::milliseconds> retry_after_of(const grpc::Status& status) {
    api::StatusDetails details;
    if (!details.ParseFromString(status.error_details())) {
        return std::nullopt;
    }
    for (const auto& one : details.details()) {
        api::RetryInfo info;
        if (one.type_url().ends_with("google.rpc.RetryInfo") && info.ParseFromString(one.value())) {
            const auto& delay = info.retry_delay();
            return std::chrono::milliseconds(delay.seconds() * 1000 + delay.nanos() / 1'000'000);
        }
    }
    return std::nullopt;
}

Outcome outcome_of(const grpc::Status& status) {
    return {static_cast<Code>(status.error_code()), status.error_message(), retry_after_of(status)};
}

void prepare(grpc::ClientContext& context, const std::string& token, const std::string& routing) {
    context.AddMetadata("authorization", "Bearer " + token);
    context.AddMetadata("x-goog-request-params", routing);
}

// What the calls of one channel share.
struct Line {
    std::unique_ptr<api::BigQueryRead::Stub> stub;
    std::function<void()> wake;
};

// Set once by gRPC's thread, as the last thing that it does with a call.
class Finish {
public:
    void set() {
        const std::lock_guard lock(mutex_);
        done_ = true;
        changed_.notify_all();
    }

    bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, longest_goodbye, [&] { return done_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool done_ = false;
};

// A call that gRPC does not end although it was cancelled is left to it.
template <class Call>
struct Cancel {
    void operator()(Call* call) const {
        call->cancel();
        if (call->finish.wait()) {
            delete call;
        }
    }
};

struct Opening {
    void start(Line& line, const std::string& token, std::chrono::milliseconds patience) {
        prepare(context, token, "read_session.table=" + percent(request.read_session().table()));
        context.set_deadline(std::chrono::system_clock::now() + patience);
        line.stub->async()->CreateReadSession(&context, &request, &answer, [this, &line](const grpc::Status& status) {
            {
                const std::lock_guard lock(mutex);
                outcome = outcome_of(status);
            }
            line.wake();
            finish.set();
        });
    }

    void cancel() { context.TryCancel(); }

    grpc::ClientContext context;
    api::CreateReadSessionRequest request;
    api::ReadSession answer;
    std::mutex mutex;
    std::optional<Outcome> outcome;
    Finish finish;
};

class SessionCallImpl final : public SessionCall {
public:
    SessionCallImpl(Line& line, const SessionWish& wish, const std::string& token, std::chrono::milliseconds patience)
        : opening_(new Opening) {
        auto& request = opening_->request;
        request.set_parent(wish.parent);
        request.set_max_stream_count(wish.max_streams);
        request.mutable_read_session()->set_table(wish.table);
        request.mutable_read_session()->set_data_format(api::AVRO);
        request.mutable_read_session()->set_trace_id(wish.trace_id);
        opening_->start(line, token, patience);
    }

    std::optional<Outcome> outcome() const override {
        const std::lock_guard lock(opening_->mutex);
        return opening_->outcome;
    }

    Session session() const override {
        Session out;
        out.schema = opening_->answer.avro_schema().schema();
        for (const auto& stream : opening_->answer.streams()) {
            out.streams.push_back(stream.name());
        }
        return out;
    }

private:
    std::unique_ptr<Opening, Cancel<Opening>> opening_;
};

// Between a response and the next wish nothing is outstanding, so a hold keeps the call from ending under our hands.
class Reading final : public grpc::ClientReadReactor<api::ReadRowsResponse> {
public:
    void start(Line& line, const std::string& stream, std::int64_t offset, const std::string& token) {
        line_ = &line;
        request_.set_read_stream(stream);
        request_.set_offset(offset);
        prepare(context_, token, "read_stream=" + percent(stream));
        line.stub->async()->ReadRows(&context_, &request_, this);
        AddHold();
        StartRead(&response_);
        StartCall();
    }

    void OnReadDone(bool ok) override {
        if (ok) {
            {
                const std::lock_guard lock(mutex_);
                state_ = RowsCall::State::rows;
            }
            line_->wake();
        } else {
            let_go();
        }
    }

    void OnDone(const grpc::Status& status) override {
        {
            const std::lock_guard lock(mutex_);
            outcome_ = outcome_of(status);
            state_ = RowsCall::State::over;
        }
        line_->wake();
        finish.set();
    }

    void cancel() {
        context_.TryCancel();
        let_go();
    }

    RowsCall::State state() const {
        const std::lock_guard lock(mutex_);
        return state_;
    }

    void next() {
        {
            const std::lock_guard lock(mutex_);
            state_ = RowsCall::State::waiting;
        }
        StartRead(&response_);
    }

    const api::ReadRowsResponse& response() const { return response_; }

    const Outcome& outcome() const { return outcome_; }

    Finish finish;

private:
    void let_go() {
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(let_go_, true)) {
                return;
            }
        }
        RemoveHold();
    }

    Line* line_ = nullptr;
    grpc::ClientContext context_;
    api::ReadRowsRequest request_;
    api::ReadRowsResponse response_;  // its memory is used again for every response
    mutable std::mutex mutex_;
    RowsCall::State state_ = RowsCall::State::waiting;
    Outcome outcome_;
    bool let_go_ = false;
};

class RowsCallImpl final : public RowsCall {
public:
    RowsCallImpl(Line& line, const std::string& stream, std::int64_t offset, const std::string& token)
        : reading_(new Reading) {
        reading_->start(line, stream, offset, token);
    }

    State state() const override { return reading_->state(); }

    Rows rows() const override {
        const auto& response = reading_->response();
        Rows out;
        out.bytes = response.avro_rows().serialized_binary_rows();
        out.count = response.row_count();
        out.schema = response.avro_schema().schema();
        out.throttle_percent = response.throttle_state().throttle_percent();
        out.plain_avro =
            response.uncompressed_byte_size() <= 0 && (response.row_count() == 0 || response.has_avro_rows());
        return out;
    }

    void next() override { reading_->next(); }

    const Outcome& outcome() const override { return reading_->outcome(); }

private:
    std::unique_ptr<Reading, Cancel<Reading>> reading_;
};

class GrpcWire final : public Wire {
public:
    explicit GrpcWire(const WireOptions& options) {
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(static_cast<int>(options.most_message_bytes));
        arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // who tries again must know the offset
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
        arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, read_ahead_bytes);
        arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, frame_bytes);
        arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, first_reconnect_ms);
        arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, most_reconnect_ms);
        arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, most_reconnect_ms);
        arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, options.host);
        std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
        if (options.roots) {
            credentials = grpc::SslCredentials({*options.roots, "", ""});
        }
        line_.stub = api::BigQueryRead::NewStub(grpc::CreateCustomChannel(options.target, credentials, arguments));
        line_.wake = options.wake;
    }

    std::unique_ptr<SessionCall>
    create_session(const SessionWish& wish, const std::string& token, std::chrono::milliseconds patience) override {
        return std::make_unique<SessionCallImpl>(line_, wish, token, patience);
    }

    std::unique_ptr<RowsCall> read_rows(const std::string& stream, std::int64_t offset, const std::string& token)
        override {
        return std::make_unique<RowsCallImpl>(line_, stream, offset, token);
    }

private:
    Line line_;
};

}  // namespace
}  // namespace headrace::source::bigquery::storage

headrace::source::bigquery::storage::Wire* headrace_make_storage_wire(
    const headrace::source::bigquery::storage::WireOptions* options
) {
    gpr_set_log_function([](gpr_log_func_args*) {});  // what matters comes as the status of a call
    return new headrace::source::bigquery::storage::GrpcWire(*options);
}
