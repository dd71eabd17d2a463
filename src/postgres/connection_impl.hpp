// Inside of postgres::Connection: the libpq connection and its waits. Only src/postgres/*.cpp include this.
#pragma once

#include "postgres/connection.hpp"

#include <libpq-fe.h>

namespace headrace::postgres {

// Waits until the descriptor is ready; also wakes for the stop token (then it throws). False when the deadline passed.
bool wait_for(int fd, short events, Deadline deadline, const StopToken& stop);
// Whoever set the limit (the server, or the run by its stop) acts first and names it; this is for when nobody does.
inline constexpr std::chrono::seconds grace{5};
Deadline with_grace(Deadline deadline);
// What libpq says, without its line ends.
std::string trimmed(const char* text);

struct Connection::Impl {
    PGconn* conn = nullptr;
    ConnectOptions options;
    StopToken stop;
    bool dead = false;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    ~Impl() { PQfinish(conn); }

    Error lost(std::string_view what);
    // Asks the server to give up the running statement; the connection is not used afterwards.
    void cancel();
    // As wait_for, on this connection; a stop cancels what is under way.
    bool wait(short events, Deadline deadline);
    void send(std::string_view sql, const std::vector<Param>& params);
    void flush(Deadline deadline);
    PGresult* next_result(Deadline deadline);
    // All results of what was sent; the last one counts, an error wins.
    Result finish(Deadline deadline);
    // Leaves no transaction behind: a connection that cannot roll back (a stop came first, the link broke) is dead, and
    // the server rolls back when it is closed. Nobody may find the transaction open, join it and never commit.
    void roll_back();

    Deadline usual_deadline() const { return Deadline::in(options.statement_timeout + grace); }
};

}  // namespace headrace::postgres
