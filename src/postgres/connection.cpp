#include "postgres/connection_impl.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <cerrno>
#include <random>

namespace headrace::postgres {
namespace {

using std::chrono::milliseconds;

ErrorKind kind_of(std::string_view state) {
    if (state == "40001" || state == "40P01" || state == "55P03" || state == "57014" || state.substr(0, 2) == "53" ||
        state.substr(0, 3) == "57P" || state.substr(0, 2) == "08") {
        return ErrorKind::transient;
    }
    return state.substr(0, 2) == "28" ? ErrorKind::unauthorized : ErrorKind::permanent;
}

std::string_view code_of(std::string_view state) {
    if (state == "40001" || state == "40P01" || state == "55P03") {
        return "postgres.conflict";
    }
    if (state == "53100") {
        return "postgres.disk_full";
    }
    if (state == "57014") {
        return "postgres.timeout";
    }
    if (state.substr(0, 3) == "57P" || state.substr(0, 2) == "08") {
        return "postgres.connect";
    }
    if (state == "42P01" || state == "42703") {
        return "postgres.schema";
    }
    return state.substr(0, 2) == "28" ? "postgres.auth" : "postgres.query";
}

SqlError sql_error(const PGresult* raw) {
    const auto field = [&](int code) { return trimmed(PQresultErrorField(raw, code)); };
    const auto state = field(PG_DIAG_SQLSTATE);
    auto message = field(PG_DIAG_MESSAGE_PRIMARY);
    if (const auto detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty()) {
        message += " (" + detail + ")";
    }
    return {
        kind_of(state), code_of(state), fmt::format("{} [{}]", message, state), state, field(PG_DIAG_CONSTRAINT_NAME)};
}

}  // namespace

std::string trimmed(const char* text) {
    std::string out = text != nullptr ? text : "";
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) {
        out.pop_back();
    }
    return out;
}

Deadline with_grace(Deadline deadline) {
    return deadline.when() > Deadline::never().when() - grace ? deadline : Deadline::at(deadline.when() + grace);
}

bool wait_for(int fd, short events, Deadline deadline, const StopToken& stop) {
    pollfd fds[2] = {{fd, events, 0}, {stop.fd(), POLLIN, 0}};
    for (;;) {
        const int got = ::poll(fds, 2, deadline.poll_timeout());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        stop.throw_if_stopped();
        if (got > 0) {
            return true;
        }
        if (deadline.passed()) {
            return false;
        }
    }
}

Error Connection::Impl::lost(std::string_view what) {
    dead = true;
    return {ErrorKind::transient, "postgres.connect", fmt::format("{}: {}", what, trimmed(PQerrorMessage(conn)))};
}

void Connection::Impl::cancel() {
    dead = true;
    if (auto* request = PQgetCancel(conn); request != nullptr) {
        char error[128];
        PQcancel(request, error, sizeof error);
        PQfreeCancel(request);
    }
}

bool Connection::Impl::wait(short events, Deadline deadline) {
    try {
        return wait_for(PQsocket(conn), events, deadline, stop);
    } catch (const Error&) {
        cancel();
        throw;
    }
}

void Connection::Impl::send(std::string_view sql, const std::vector<Param>& params) {
    stop.throw_if_stopped();
    if (dead) {
        throw Error(ErrorKind::transient, "postgres.connect", "the connection to Postgres is broken");
    }
    std::vector<const char*> values;
    values.reserve(params.size());
    for (const auto& param : params) {
        values.push_back(param.value() ? param.value()->c_str() : nullptr);
    }
    if (PQsendQueryParams(
            conn, std::string(sql).c_str(), static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0
        ) == 0) {
        throw lost("sending to Postgres failed");
    }
}

void Connection::Impl::flush(Deadline deadline) {
    for (;;) {
        const int left = PQflush(conn);
        if (left == 0) {
            return;
        }
        if (left < 0) {
            throw lost("sending to Postgres failed");
        }
        if (!wait(POLLOUT | POLLIN, deadline)) {
            dead = true;
            throw Error(ErrorKind::transient, "postgres.timeout", "Postgres does not take data");
        }
        if (PQconsumeInput(conn) == 0) {
            throw lost("the connection to Postgres broke");
        }
    }
}

PGresult* Connection::Impl::next_result(Deadline deadline) {
    while (PQisBusy(conn) != 0) {
        if (!wait(POLLIN, deadline)) {
            cancel();
            throw Error(ErrorKind::transient, "postgres.timeout", "no answer from Postgres in time");
        }
        if (PQconsumeInput(conn) == 0) {
            throw lost("the connection to Postgres broke");
        }
    }
    return PQgetResult(conn);
}

Result Connection::Impl::finish(Deadline deadline) {
    flush(deadline);
    std::optional<Result> last;
    std::optional<SqlError> failure;
    while (PGresult* raw = next_result(deadline)) {
        Result result(raw);
        const auto status = PQresultStatus(raw);
        if (status == PGRES_FATAL_ERROR && !failure) {
            failure = sql_error(raw);
        }
        last = std::move(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
            break;
        }
    }
    if (PQstatus(conn) == CONNECTION_BAD) {
        throw lost("the connection to Postgres broke");
    }
    if (failure) {
        throw SqlError(*failure);
    }
    if (!last) {
        throw lost("no result from Postgres");
    }
    return *last;
}

void Connection::Impl::roll_back() {
    try {
        send("rollback", {});
        finish(usual_deadline());
    } catch (const Error&) {
        dead = true;
    }
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Connection Connection::connect(const ConnectOptions& options, StopToken stop) {
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    impl->stop = std::move(stop);
    // Half-open peers are noticed by TCP (tcp_user_timeout), forgotten transactions by the server.
    const auto session = fmt::format(
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} -c timezone=UTC "
        "-c client_connection_check_interval=5000 -c datestyle=ISO -c bytea_output=hex",
        options.statement_timeout.count(),
        options.lock_timeout.count(),
        options.idle_transaction_timeout.count()
    );
    const char* keys[] = {
        "dbname",
        "fallback_application_name",
        "options",
        "keepalives_idle",
        "tcp_user_timeout",
        "target_session_attrs",
        "client_encoding",
        nullptr};
    const char* values[] = {
        options.url.c_str(),
        options.application_name.c_str(),
        session.c_str(),
        "30",
        "20000",
        "read-write",
        "UTF8",
        nullptr};
    impl->conn = PQconnectStartParams(keys, values, 1);
    if (impl->conn == nullptr) {
        throw std::bad_alloc();
    }
    const auto deadline = Deadline::in(options.connect_timeout);
    auto status = PQstatus(impl->conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        if (!wait_for(PQsocket(impl->conn), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, impl->stop)) {
            throw Error(ErrorKind::transient, "postgres.connect", "Postgres did not answer in time");
        }
        status = PQconnectPoll(impl->conn);
    }
    if (status == PGRES_POLLING_FAILED) {
        const auto text = trimmed(PQerrorMessage(impl->conn));
        const bool refused =
            text.find("authentication") != std::string::npos || text.find("role \"") != std::string::npos;
        throw Error(
            refused ? ErrorKind::unauthorized : ErrorKind::transient,
            refused ? "postgres.auth" : "postgres.connect",
            text
        );
    }
    PQsetnonblocking(impl->conn, 1);
    PQsetNoticeProcessor(
        impl->conn, [](void*, const char*) {}, nullptr
    );
    return Connection(std::move(impl));
}

Result Connection::exec(std::string_view sql, std::initializer_list<Param> params) {
    return exec(sql, std::vector<Param>(params));
}

Result Connection::exec(std::string_view sql, const std::vector<Param>& params) {
    impl_->send(sql, params);
    return impl_->finish(impl_->usual_deadline());
}

Result Connection::exec_until(Deadline deadline, std::string_view sql) {
    impl_->send(sql, {});
    return impl_->finish(with_grace(deadline));
}

void Connection::script(std::string_view sql) {
    if (PQsendQuery(impl_->conn, std::string(sql).c_str()) == 0) {
        throw impl_->lost("sending to Postgres failed");
    }
    impl_->finish(impl_->usual_deadline());
}

void Connection::transaction(const std::function<void(Connection&)>& body, const std::function<void()>& between) {
    const auto status = PQtransactionStatus(impl_->conn);
    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR) {
        body(*this);  // joins the one that is open: its owner commits, rolls back and tries again
        return;
    }
    thread_local std::mt19937 random{std::random_device{}()};
    for (int attempt = 1;; ++attempt) {
        bool committing = false;
        try {
            exec("begin");
            body(*this);
            if (PQtransactionStatus(impl_->conn) == PQTRANS_INERROR) {
                // COMMIT would answer ROLLBACK, which is no error to libpq.
                throw Error(
                    ErrorKind::permanent,
                    "postgres.query",
                    "a statement of the transaction failed and the failure was passed over: nothing is committed"
                );
            }
            committing = true;
            exec("commit");
            return;
        } catch (const SqlError& e) {
            impl_->roll_back();
            if (e.code() != "postgres.conflict" || attempt == 5) {
                throw;
            }
            impl_->stop.throw_if_stopped();
            if (between) {
                between();
            }
            const auto pause = milliseconds(std::uniform_int_distribution<int>(1, 20 * attempt)(random));
            wait_for(-1, 0, Deadline::in(pause), impl_->stop);
        } catch (const Error& e) {
            if (committing && impl_->dead) {
                throw CommitUnknown(e.message());
            }
            impl_->roll_back();
            throw;
        } catch (...) {
            impl_->roll_back();
            throw;
        }
    }
}

bool Connection::broken() const {
    return !impl_ || impl_->dead;
}

bool Connection::idle() const {
    return !broken() && PQtransactionStatus(impl_->conn) == PQTRANS_IDLE;
}

int Connection::fd() const {
    return PQsocket(impl_->conn);
}

int Connection::backend_pid() const {
    return PQbackendPID(impl_->conn);
}

void Connection::set_stop(StopToken stop) {
    impl_->stop = std::move(stop);
}

}  // namespace headrace::postgres
