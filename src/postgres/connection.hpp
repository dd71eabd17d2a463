// One Postgres connection (libpq, non-blocking, driven by poll). Belongs to one thread. Every wait honours the deadline
// and the stop token of the connection; a stop sends a cancel request so that the server stops working too.
// A failed connection is dead: broken() is true and the owner makes a new one.
#pragma once

#include "base/deadline.hpp"
#include "base/error.hpp"
#include "base/stop.hpp"
#include "base/time.hpp"
#include "postgres/errors.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::postgres {

struct ConnectOptions {
    std::string url;  // DATABASE_URL: URI or key=value
    std::string application_name = "headrace";
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds statement_timeout{30000};  // also how long we wait for an answer, plus 5 s
    std::chrono::milliseconds lock_timeout{5000};
    std::chrono::milliseconds idle_transaction_timeout{60000};  // the server ends a transaction that says nothing
};

// A statement parameter as text; std::nullopt is NULL. Bytes go through Param::bytes (bytea).
class Param {
public:
    Param(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)

    Param(std::string value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

    Param(std::string_view value) : value_(value) {}  // NOLINT(google-explicit-constructor)

    Param(const char* value) : value_(value) {}  // NOLINT(google-explicit-constructor)

    Param(bool value) : value_(value ? "t" : "f") {}  // NOLINT(google-explicit-constructor)

    Param(int value) : value_(std::to_string(value)) {}  // NOLINT(google-explicit-constructor)

    Param(std::int64_t value) : value_(std::to_string(value)) {}  // NOLINT(google-explicit-constructor)

    Param(std::uint64_t value) : value_(std::to_string(value)) {}  // NOLINT(google-explicit-constructor)

    Param(Timestamp value) : value_(format_rfc3339(value)) {}  // NOLINT(google-explicit-constructor)

    template <class T>
    Param(const std::optional<T>& value) {  // NOLINT(google-explicit-constructor)
        if (value) {
            *this = Param(*value);
        }
    }

    static Param bytes(std::string_view raw);
    // A Postgres array literal of texts.
    static Param array(const std::vector<std::string>& items);

    const std::optional<std::string>& value() const { return value_; }

private:
    std::optional<std::string> value_;
};

// Rows of one statement, as text. Owns its memory.
class Result {
public:
    explicit Result(void* pg_result);

    std::size_t rows() const;
    std::uint64_t affected() const;  // of INSERT, UPDATE, DELETE

    bool empty() const { return rows() == 0; }

    bool is_null(std::size_t row, std::string_view column) const;
    std::string_view text(std::size_t row, std::string_view column) const;  // "" for NULL
    std::optional<std::string> optional(std::size_t row, std::string_view column) const;
    std::int64_t integer(std::size_t row, std::string_view column) const;  // 0 for NULL
    bool boolean(std::size_t row, std::string_view column) const;
    std::optional<Timestamp> time(std::size_t row, std::string_view column) const;
    std::string bytes(std::size_t row, std::string_view column) const;               // bytea
    std::vector<std::string> array(std::size_t row, std::string_view column) const;  // text[]

private:
    int column_number(std::string_view column) const;
    std::shared_ptr<void> result_;
};

class Connection {
public:
    // Throws postgres.connect (transient) or postgres.auth (unauthorized).
    static Connection connect(const ConnectOptions& options, StopToken stop = {});
    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    // One statement with $1… parameters. Throws Error with the server's sentence: postgres.query (permanent),
    // postgres.conflict (40001, 40P01, 55P03: transient), postgres.disk_full, postgres.connect when the link broke.
    Result exec(std::string_view sql, std::initializer_list<Param> params = {});
    Result exec(std::string_view sql, const std::vector<Param>& params);
    // One statement that may take longer than the usual statement_timeout; the caller has raised that of the server.
    // Here and in the next two the wait ends 5 s after the deadline, so that the run's stop, which names the limit,
    // comes first.
    Result exec_until(Deadline deadline, std::string_view sql);
    // Several statements without parameters (migrations).
    void script(std::string_view sql);

    // Rows of `exec("copy … from stdin")`, in any pieces. Waits while the server takes no more; a stop makes it give
    // up. Throws the server's refusal as soon as it is there. Nothing but put_copy and end_copy may be called in
    // between.
    void put_copy(std::string_view bytes, Deadline deadline);
    std::uint64_t end_copy(Deadline deadline);  // rows that the server took

    // BEGIN, body, COMMIT; any exception rolls back, or leaves the connection broken when that is not possible (a
    // stop). A conflict is tried again, at most 5 times, with jitter: the body must have no effect outside the
    // transaction. Inside another transaction it only runs the body. A COMMIT whose answer is lost throws
    // CommitUnknown: ask the database what became of it. `between` is called as soon as a conflict has rolled back and
    // another try will follow.
    void transaction(const std::function<void(Connection&)>& body, const std::function<void()>& between = {});

    bool broken() const;
    bool idle() const;  // outside of any transaction, and nothing is under way
    int fd() const;
    int backend_pid() const;
    void set_stop(StopToken stop);

private:
    struct Impl;  // postgres/connection_impl.hpp
    explicit Connection(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace headrace::postgres
