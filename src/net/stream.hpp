// A byte stream over TCP, a unix socket or TLS. One thread at a time; waits are poll() with a
// deadline and a stop token, so a stop from another thread ends any wait at once. After a stop or a
// time-out the stream may hold half a message: close it.
//
// Errors (message names the address): net.dns, net.connect, net.timeout, net.closed, net.io,
// net.tls: transient, except that a refused certificate (net.tls) is permanent; net.cancelled:
// cancelled.
#pragma once

#include "base/deadline.hpp"
#include "base/stop.hpp"
#include "net/address.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace headrace::net {

struct TlsOptions {
    std::string ca_file;      // PEM; empty: the system's store
    bool verify = true;       // chain and host name; false only for tests
    std::string server_name;  // SNI and the name to verify; empty: the host of the address
    std::string cert_file;    // client certificate and key, PEM, both or none
    std::string key_file;
};

class Stream {
public:
    // Resolves, connects (each address in turn) and, with `tls`, shakes hands. TLS 1.2 is the
    // minimum.
    static Stream connect(const Address& address, const TlsOptions* tls, Deadline deadline, const StopToken& stop);
    // Takes over a connected socket (tests, socketpair); `name` is for messages.
    static Stream adopt(int fd, std::string name);

    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;
    ~Stream();

    // Blocks until there is at least one byte. 0 = the peer ended the stream in order (over TLS:
    // with close_notify; a TLS stream that is merely cut is net.closed). `size` ≥ 1.
    std::size_t read_some(char* to, std::size_t size, Deadline deadline, const StopToken& stop);

    // Everything, or an Error; how much went out is then unknown. The span form gathers without
    // copying (plain sockets).
    void write_all(std::string_view bytes, Deadline deadline, const StopToken& stop);
    void write_all(std::span<const std::string_view> pieces, Deadline deadline, const StopToken& stop);

    // Non-blocking forms, for owners that poll fd() themselves together with other descriptors.
    // write_some: bytes taken, 0 when it would block. Over TLS, after 0 the next call must offer
    // the same bytes (or more after them). read_available: nullopt when nothing is there now, 0 =
    // end; read until nullopt before polling again.
    std::size_t write_some(std::string_view bytes);
    std::optional<std::size_t> read_available(char* to, std::size_t size);
    bool wants_write() const;  // TLS only: the last read_available needs POLLOUT to go on
    bool wants_read() const;   // TLS only: the last write_some needs POLLIN to go on

    int fd() const;  // -1 after close()
    const std::string& name() const;
    std::string security() const;  // "TLSv1.3, certificate of CN until 2027-01-31 (58 days)"; "" without TLS
    void shutdown_write();         // half close; TLS: close_notify first, best effort
    void close() noexcept;         // idempotent; never blocks

private:
    struct State;
    explicit Stream(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace headrace::net
