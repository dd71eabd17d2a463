#include "net/http_transfer.hpp"

#include "base/error.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

namespace headrace::net {
namespace {

constexpr std::size_t inflated_bytes = 256 * 1024;

bool is_certificate_problem(CURLcode code) {
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_ISSUER_ERROR;
}

const char* code_of(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
        case CURLE_INTERFACE_FAILED:
            return "http.connect";
        case CURLE_OPERATION_TIMEDOUT:
            return "http.timeout";
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_SHUTDOWN_FAILED:
        case CURLE_SSL_ENGINE_INITFAILED:
            return "http.tls";
        default:
            return is_certificate_problem(code) ? "http.tls" : "http.protocol";
    }
}

}  // namespace

void HttpClient::State::perform() {
    int left = 0;
    if (const auto code = curl_multi_perform(multi.get(), &left); code != CURLM_OK) {
        throw Error(ErrorKind::bug, "internal.bug", std::string("curl: ") + curl_multi_strerror(code));
    }
    while (const auto* message = curl_multi_info_read(multi.get(), &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        HttpResponse::Transfer* transfer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer->done = true;
        transfer->result = message->data.result;
    }
}

// --- what curl calls ---

std::size_t HttpResponse::Transfer::header_callback(char* bytes, std::size_t, std::size_t count, void* transfer) {
    return static_cast<Transfer*>(transfer)->on_header({bytes, count});
}

std::size_t HttpResponse::Transfer::body_callback(char* bytes, std::size_t, std::size_t count, void* transfer) {
    return static_cast<Transfer*>(transfer)->on_body(bytes, count);
}

curl_socket_t HttpResponse::Transfer::socket_callback(void* transfer, curlsocktype, curl_sockaddr* address) {
    return static_cast<Transfer*>(transfer)->on_socket(*address);
}

std::size_t HttpResponse::Transfer::on_header(std::string_view line) {
    try {
        last_activity = Deadline::Clock::now();
        header_bytes += line.size();
        if (header_bytes > max_header_bytes) {
            throw Error(ErrorKind::transient, "http.protocol", origin + ": the response head is too large");
        }
        if (!head_done) {  // afterwards: trailers, which nobody needs
            take_header_line(line);
        }
        return line.size();
    } catch (...) {
        failure = std::current_exception();
        return 0;
    }
}

void HttpResponse::Transfer::take_header_line(std::string_view line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) {
        line.remove_suffix(1);
    }
    if (line.empty()) {
        if (status >= 200) {
            head_is_complete();
        }
        return;  // an interim answer (1xx): another head follows
    }
    if (line.starts_with("HTTP/")) {
        headers.clear();
        status = 0;
        const auto space = std::min(line.find(' '), line.size() - 1);
        std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
        return;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        throw Error(ErrorKind::transient, "http.protocol", origin + ": the response head is malformed");
    }
    auto value = line.substr(colon + 1);
    const auto from = std::min(value.find_first_not_of(" \t"), value.size());
    value.remove_prefix(from);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
    }
    headers.add(std::string(line.substr(0, colon)), std::string(value));
}

void HttpResponse::Transfer::head_is_complete() {
    head_done = true;
    const bool no_body = head_only || status == 204 || status == 304;
    const auto transfer_encoding = headers.joined("transfer-encoding");
    for (const auto& [name, value] : headers) {
        if (equal_no_case(name, "content-length") && value != headers.get("content-length")) {
            throw Error(ErrorKind::transient, "http.protocol", origin + ": two different Content-Length");
        }
    }
    framed = no_body || list_has(transfer_encoding, "chunked") ||
             (transfer_encoding.empty() && headers.has("content-length"));
    const auto encoding = headers.get("content-encoding");
    if (!inflate || no_body || encoding.empty() || equal_no_case(encoding, "identity")) {
        return;
    }
    if (!equal_no_case(encoding, "gzip") && !equal_no_case(encoding, "x-gzip")) {
        throw Error(ErrorKind::transient, "http.protocol", origin + ": a content encoding that was not asked for");
    }
    gunzip = std::make_unique<Gunzip>();
    inflated = std::make_unique_for_overwrite<char[]>(inflated_bytes);
}

std::size_t HttpResponse::Transfer::on_body(const char* bytes, std::size_t count) {
    if (count > capacity - filled) {
        paused = true;  // curl keeps these bytes, at most one receive buffer, and reads no further
        return CURL_WRITEFUNC_PAUSE;
    }
    std::memcpy(buffer.get() + filled, bytes, count);
    filled += count;
    wire_bytes += count;
    return count;
}

curl_socket_t HttpResponse::Transfer::on_socket(const curl_sockaddr& address) {
    try {
        const auto& check = client.options.egress_check;
        if (check && !check(&address.addr)) {
            egress_refused = true;
            return CURL_SOCKET_BAD;
        }
        return ::socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
    } catch (...) {
        failure = std::current_exception();
        return CURL_SOCKET_BAD;
    }
}

// --- what the reader calls ---

void HttpResponse::Transfer::wait_for_head() {
    last_activity = Deadline::Clock::now();
    while (!head_done) {
        if (done) {
            fail(result != CURLE_OK ? result : CURLE_GOT_NOTHING);
        }
        drive();
    }
}

std::string_view HttpResponse::Transfer::next_piece() {
    return gunzip ? next_inflated_piece() : next_plain_piece();
}

std::string_view HttpResponse::Transfer::next_plain_piece() {
    if (lent == filled) {
        lent = filled = 0;
    }
    // The peer's silence counts from here: while the caller was busy, nobody listened.
    last_activity = Deadline::Clock::now();
    while (lent == filled) {
        if (done) {
            demand_proof();
            return {};
        }
        drive();
    }
    if (stop.stop_requested()) {
        drive();  // throws
    }
    const auto from = std::exchange(lent, filled);
    return {buffer.get() + from, filled - from};
}

std::string_view HttpResponse::Transfer::next_inflated_piece() {
    for (;;) {
        if (!compressed.empty() || more_inflated) {
            const auto count = gunzip->run(compressed, inflated.get(), inflated_bytes);
            more_inflated = count == inflated_bytes;
            if (count > 0) {
                return {inflated.get(), count};
            }
        }
        if (compressed = next_plain_piece(); compressed.empty()) {
            if (!gunzip->complete()) {
                throw Error(ErrorKind::transient, "http.protocol", origin + ": the compressed body is cut short");
            }
            return {};
        }
    }
}

void HttpResponse::Transfer::drive() {
    if (stop.stop_requested()) {
        throw Error(ErrorKind::cancelled, "net.cancelled", stop.reason() + " (" + origin + ")");
    }
    if (deadline.passed()) {
        throw Error(ErrorKind::transient, "http.timeout", origin + ": the exchange took longer than it may");
    }
    const auto before = filled;
    const bool had_head = head_done;
    if (std::exchange(paused, false)) {
        curl_easy_pause(easy.get(), CURLPAUSE_CONT);  // delivers what curl kept
    }
    if (filled == before) {
        client.perform();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    if (filled != before || done || head_done != had_head) {
        last_activity = Deadline::Clock::now();
    } else if (!paused) {
        wait_for_peer();
    }
}

void HttpResponse::Transfer::wait_for_peer() {
    curl_off_t sent = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
    if (sent != uploaded) {
        uploaded = sent;
        last_activity = Deadline::Clock::now();
    }
    const auto patience = Deadline::at(last_activity + idle_timeout);
    if (patience.passed()) {
        throw Error(
            ErrorKind::transient,
            "http.timeout",
            origin + ": the server sent nothing for " + std::to_string(idle_timeout.count()) + " ms"
        );
    }
    const auto until = deadline.earlier(patience);
    curl_waitfd watched{stop.fd(), CURL_WAIT_POLLIN, 0};
    const auto code =
        curl_multi_poll(client.multi.get(), &watched, stop.fd() >= 0 ? 1 : 0, until.poll_timeout(), nullptr);
    if (code != CURLM_OK) {
        throw Error(ErrorKind::bug, "internal.bug", std::string("curl: ") + curl_multi_strerror(code));
    }
}

void HttpResponse::Transfer::demand_proof() const {
    if (result != CURLE_OK) {
        fail(result);
    }
    if (!framed) {
        throw Error(
            ErrorKind::transient,
            "http.protocol",
            origin + ": the body ended with the connection, so nothing proves that it is complete"
        );
    }
}

void HttpResponse::Transfer::fail(CURLcode code) const {
    if (code == CURLE_OUT_OF_MEMORY) {
        throw std::bad_alloc();
    }
    if (egress_refused && code == CURLE_COULDNT_CONNECT) {
        throw Error(ErrorKind::permanent, "http.egress", origin + ": this address may not be called");
    }
    const char* text = sentence[0] != '\0' ? &sentence[0] : curl_easy_strerror(code);
    const auto kind = is_certificate_problem(code) ? ErrorKind::permanent : ErrorKind::transient;
    throw Error(kind, code_of(code), origin + ": " + text);
}

}  // namespace headrace::net
