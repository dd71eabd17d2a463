#include "postgres/connection.hpp"

#include "base/encoding.hpp"

#include <fmt/core.h>
#include <libpq-fe.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace headrace::postgres {
namespace {

using std::chrono::milliseconds;

std::string trimmed(const char* text) {
    std::string out = text != nullptr ? text : "";
    while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) {
        out.pop_back();
    }
    return out;
}

// Waits until the socket is ready; also wakes for the stop token. False when the deadline passed.
bool wait(int fd, short events, Deadline deadline, const StopToken& stop) {
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

}  // namespace

Param Param::bytes(std::string_view raw) {
    return Param("\\x" + hex_encode(raw));
}

Param Param::array(const std::vector<std::string>& items) {
    std::string out = "{";
    for (const auto& item : items) {
        out += out.size() > 1 ? ",\"" : "\"";
        for (const char c : item) {
            if (c == '"' || c == '\\') {
                out += '\\';
            }
            out += c;
        }
        out += '"';
    }
    return Param(out + "}");
}

struct Connection::Impl {
    PGconn* conn = nullptr;
    ConnectOptions options;
    StopToken stop;
    bool dead = false;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() { PQfinish(conn); }

    Error lost(std::string_view what) {
        dead = true;
        return {ErrorKind::transient, "postgres.connect", fmt::format("{}: {}", what, trimmed(PQerrorMessage(conn)))};
    }

    // Asks the server to give up the running statement; the connection is not used afterwards.
    void cancel() {
        dead = true;
        if (auto* request = PQgetCancel(conn); request != nullptr) {
            char error[128];
            PQcancel(request, error, sizeof error);
            PQfreeCancel(request);
        }
    }

    void flush(Deadline deadline) {
        for (;;) {
            const int left = PQflush(conn);
            if (left == 0) {
                return;
            }
            if (left < 0) {
                throw lost("sending to Postgres failed");
            }
            if (!wait(PQsocket(conn), POLLOUT | POLLIN, deadline, stop)) {
                dead = true;
                throw Error(ErrorKind::transient, "postgres.timeout", "Postgres does not take data");
            }
            if (PQconsumeInput(conn) == 0) {
                throw lost("the connection to Postgres broke");
            }
        }
    }

    PGresult* next_result(Deadline deadline) {
        while (PQisBusy(conn) != 0) {
            bool ready = false;
            try {
                ready = wait(PQsocket(conn), POLLIN, deadline, stop);
            } catch (const Error&) {
                cancel();
                throw;
            }
            if (!ready) {
                cancel();
                throw Error(ErrorKind::transient, "postgres.timeout", "no answer from Postgres in time");
            }
            if (PQconsumeInput(conn) == 0) {
                throw lost("the connection to Postgres broke");
            }
        }
        return PQgetResult(conn);
    }

    // All results of what was sent; the last one counts, an error wins.
    Result finish() {
        const auto deadline = Deadline::in(options.statement_timeout + milliseconds(5000));
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

    static SqlError sql_error(const PGresult* raw) {
        const auto field = [&](int code) { return trimmed(PQresultErrorField(raw, code)); };
        const auto state = field(PG_DIAG_SQLSTATE);
        auto message = field(PG_DIAG_MESSAGE_PRIMARY);
        if (const auto detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty()) {
            message += " (" + detail + ")";
        }
        return {
            kind_of(state),
            code_of(state),
            fmt::format("{} [{}]", message, state),
            state,
            field(PG_DIAG_CONSTRAINT_NAME)};
    }
};

Result::Result(void* pg_result) : result_(pg_result, [](void* raw) { PQclear(static_cast<PGresult*>(raw)); }) {}

int Result::column_number(std::string_view column) const {
    const int number = PQfnumber(static_cast<PGresult*>(result_.get()), std::string(column).c_str());
    if (number < 0) {
        throw Error(ErrorKind::bug, "internal.bug", fmt::format("no column {} in the result", column));
    }
    return number;
}

std::size_t Result::rows() const {
    return static_cast<std::size_t>(PQntuples(static_cast<PGresult*>(result_.get())));
}

std::uint64_t Result::affected() const {
    return std::strtoull(PQcmdTuples(static_cast<PGresult*>(result_.get())), nullptr, 10);
}

bool Result::is_null(std::size_t row, std::string_view column) const {
    return PQgetisnull(static_cast<PGresult*>(result_.get()), static_cast<int>(row), column_number(column)) != 0;
}

std::string_view Result::text(std::size_t row, std::string_view column) const {
    auto* raw = static_cast<PGresult*>(result_.get());
    const int number = column_number(column);
    return {
        PQgetvalue(raw, static_cast<int>(row), number),
        static_cast<std::size_t>(PQgetlength(raw, static_cast<int>(row), number))};
}

std::optional<std::string> Result::optional(std::size_t row, std::string_view column) const {
    return is_null(row, column) ? std::nullopt : std::make_optional(std::string(text(row, column)));
}

std::int64_t Result::integer(std::size_t row, std::string_view column) const {
    return std::strtoll(std::string(text(row, column)).c_str(), nullptr, 10);
}

bool Result::boolean(std::size_t row, std::string_view column) const {
    return text(row, column) == "t";
}

std::optional<Timestamp> Result::time(std::size_t row, std::string_view column) const {
    return is_null(row, column) ? std::nullopt : parse_rfc3339(text(row, column));
}

std::string Result::bytes(std::size_t row, std::string_view column) const {
    const auto value = text(row, column);
    if (value.substr(0, 2) != "\\x") {
        return {};
    }
    return hex_decode(value.substr(2)).value_or("");
}

std::vector<std::string> Result::array(std::size_t row, std::string_view column) const {
    std::vector<std::string> out;
    const auto value = text(row, column);
    std::string item;
    bool quoted = false;
    bool any = false;
    for (std::size_t i = 1; i + 1 <= value.size(); ++i) {
        const char c = value[i];
        if (quoted && c == '\\') {
            item += value[++i];
        } else if (c == '"') {
            quoted = !quoted;
            any = true;
        } else if (!quoted && (c == ',' || c == '}')) {
            if (any || !item.empty()) {
                out.push_back(std::move(item));
            }
            item.clear();
            any = false;
        } else {
            item += c;
        }
    }
    return out;
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
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=60000 -c timezone=UTC "
        "-c client_connection_check_interval=5000 -c datestyle=ISO -c bytea_output=hex",
        options.statement_timeout.count(),
        options.lock_timeout.count()
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
        if (!wait(PQsocket(impl->conn), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, impl->stop)) {
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
    impl_->stop.throw_if_stopped();
    if (impl_->dead) {
        throw Error(ErrorKind::transient, "postgres.connect", "the connection to Postgres is broken");
    }
    std::vector<const char*> values;
    values.reserve(params.size());
    for (const auto& param : params) {
        values.push_back(param.value() ? param.value()->c_str() : nullptr);
    }
    if (PQsendQueryParams(
            impl_->conn,
            std::string(sql).c_str(),
            static_cast<int>(values.size()),
            nullptr,
            values.data(),
            nullptr,
            nullptr,
            0
        ) == 0) {
        throw impl_->lost("sending to Postgres failed");
    }
    return impl_->finish();
}

void Connection::script(std::string_view sql) {
    if (PQsendQuery(impl_->conn, std::string(sql).c_str()) == 0) {
        throw impl_->lost("sending to Postgres failed");
    }
    impl_->finish();
}

void Connection::transaction(const std::function<void(Connection&)>& body) {
    if (PQtransactionStatus(impl_->conn) == PQTRANS_INTRANS) {
        body(*this);  // joins the one that is open: its owner commits, rolls back and tries again
        return;
    }
    thread_local std::mt19937 random{std::random_device{}()};
    for (int attempt = 1;; ++attempt) {
        bool committing = false;
        try {
            exec("begin");
            body(*this);
            committing = true;
            exec("commit");
            return;
        } catch (const SqlError& e) {
            exec("rollback");
            if (e.code() != "postgres.conflict" || attempt == 5) {
                throw;
            }
            const auto pause = milliseconds(std::uniform_int_distribution<int>(1, 20 * attempt)(random));
            wait(-1, 0, Deadline::in(pause), impl_->stop);
        } catch (const Error& e) {
            if (committing && impl_->dead) {
                throw CommitUnknown(e.message());
            }
            if (!impl_->dead) {
                exec("rollback");
            }
            throw;
        } catch (...) {
            if (!impl_->dead) {
                exec("rollback");
            }
            throw;
        }
    }
}

bool Connection::broken() const {
    return !impl_ || impl_->dead;
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

std::string Connection::quote_identifier(std::string_view name) const {
    std::string out = "\"";
    for (const char c : name) {
        out += c;
        if (c == '"') {
            out += c;
        }
    }
    return out + "\"";
}

}  // namespace headrace::postgres
