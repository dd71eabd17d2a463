// An HTTP/1.1 server for simulators: one thread per connection, and every byte of an answer is in the hands of the
// test. Loopback only.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace headrace::support::bigquery {

struct Request {
    std::string method;
    std::string path;                            // decoded, without the query
    std::map<std::string, std::string> query;    // decoded
    std::map<std::string, std::string> headers;  // names in small letters
    std::string body;
};

// What happens to an answer on its way.
enum class Damage {
    none,
    reset,          // the connection is reset before the first byte
    cut,            // closed after `at` bytes of the body, Content-Length as if it were whole
    reset_within,   // the same with a reset
    hang,           // nothing more after `at` bytes of the body (-1: not even a head)
    drip,           // a byte every 20 ms from `at` on
    unframed,       // no length: the body ends with the connection
    no_last_chunk,  // chunked, and the last chunk is missing
    bad_chunk,      // a chunk size that is no number
    short_length,   // Content-Length `at` bytes smaller than the body
};

struct Reply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::shared_ptr<const std::string>> body;  // pieces, sent one after the other
    Damage damage = Damage::none;
    long at = 0;

    void add(std::string piece) { body.push_back(std::make_shared<const std::string>(std::move(piece))); }

    std::size_t size() const;
};

class Listener {
public:
    using Handler = std::function<Reply(const Request&)>;  // on several threads at once

    explicit Listener(Handler handler, std::uint16_t port = 0);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    std::uint16_t port() const { return port_; }

private:
    void accept_all();
    void serve(int fd);

    Handler handler_;
    Fd listener_;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::map<int, bool> open_;
    std::vector<std::thread> threads_;
    std::thread acceptor_;
};

}  // namespace headrace::support::bigquery
