// One connection to Redis: one thread at a time. Commands are formatted into a reused buffer and sent together; replies
// come back in order. Any I/O failure, time-out or stop makes the connection dead (is_dead()): what was in flight has
// an unknown fate, and whether to connect again is the caller's decision. Nothing is retried in here.
//
// Errors: redis.connect, redis.timeout (transient), net.tls, redis.auth, redis.protocol, net.cancelled; error replies
// as in error_of(). An error reply does not kill the connection.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "redis/options.hpp"
#include "redis/reply.hpp"

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace headrace::redis {

class Connection {
public:
    using Args = std::span<const std::string_view>;
    using List = std::initializer_list<std::string_view>;

    // Finds the server (options.hpp), connects and logs in (AUTH, SELECT, CLIENT SETNAME). `stop` ends every later wait
    // of this connection too.
    static Connection connect(const Options& options, const StopToken& stop);

    Connection(Connection&&) noexcept;
    Connection& operator=(Connection&&) noexcept;
    ~Connection();

    // --- One round trip. Throws on an error reply. Nothing may be pending. Large values are not copied.
    Reply command(List args);
    Reply command(Args args);
    Reply command_raw(Args args);  // error replies are returned as values
    Reply command_raw(List args);

    // --- Pipelining: append…, flush(), then one read_reply() per command, in order.
    void append(Args args);
    void append(List args);
    void append_encoded(std::string_view resp);  // exactly one command, already RESP (redis/resp.hpp)
    // Arguments of 4 KiB and more are referenced, not copied: they must stay until flush() returns.
    void append_by_reference(Args args);
    // As above; one more last argument is the concatenation of `parts` (each referenced when large).
    void append_parts(Args args, Args parts);
    void flush();                           // writes all; waits at most the reply timeout for each piece of progress
    Reply read_reply();                     // flushes first; error replies are values here
    Reply read_reply(Deadline deadline);    // for blocking commands: their own patience
    std::optional<Reply> try_read_reply();  // never blocks; nullopt when no whole reply has arrived
    std::size_t pending() const;            // commands whose reply was not read yet
    std::size_t unsent_bytes() const;

    // For owners that poll themselves.
    int fd() const;
    bool wants_write() const;  // TLS only: try_read_reply needs POLLOUT to go on
    bool is_dead() const;
    // True when the server closed or broke an idle connection (nothing pending); never blocks.
    bool peer_is_gone();
    const std::string& name() const;  // "redis 127.0.0.1:6379": for messages
    void close() noexcept;            // dead afterwards

private:
    struct State;
    explicit Connection(std::unique_ptr<State> state);
    static Connection connect_to(const net::Address& address, const Options& options, const StopToken& stop);

    std::unique_ptr<State> state_;
};

// The fields of an INFO section or of any "key:value" lines; "" when absent.
std::string_view info_field(std::string_view info, std::string_view key);

}  // namespace headrace::redis
