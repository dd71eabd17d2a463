// TLS on a non-blocking socket that somebody else owns and polls. Private to net; one thread.
#pragma once

#include "net/stream.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;
struct bio_method_st;

namespace headrace::net {

class Tls {
public:
    enum class Want { none, read, write };  // what to poll for before calling again

    struct Progress {
        std::size_t bytes = 0;
        Want want = Want::none;
        bool end = false;  // close_notify came
    };

    // `name` is for messages, `host` is what the certificate must carry unless options.server_name
    // says otherwise.
    Tls(int fd, const TlsOptions& options, const std::string& host, std::string name);

    Want handshake();
    Progress read(char* to, std::size_t size);
    Progress write(std::string_view bytes);
    void say_goodbye() noexcept;   // close_notify, best effort
    std::string describe() const;  // after the handshake; see Stream::security

private:
    [[noreturn]] void fail(int result);
    Want want_after(int result);  // throws unless the operation merely has to wait

    // Destroyed in the reverse order: the connection first.
    std::unique_ptr<bio_method_st, void (*)(bio_method_st*)> transport_;
    std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
    std::unique_ptr<ssl_st, void (*)(ssl_st*)> connection_;
    int fd_;
    std::string name_;
    bool ready_ = false;
};

}  // namespace headrace::net
