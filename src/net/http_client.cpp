#include "net/http_client.hpp"

#include "base/error.hpp"
#include "net/http_transfer.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace headrace::net {
namespace {

constexpr long kept_connections = 8;

}  // namespace

HttpClient::HttpClient(HttpClientOptions options) : state_(std::make_unique<State>()) {
    state_->options = std::move(options);
    state_->multi.reset(curl_multi_init());
    if (!state_->multi) {
        throw std::bad_alloc();
    }
    curl_multi_setopt(state_->multi.get(), CURLMOPT_MAXCONNECTS, kept_connections);
}

HttpClient::~HttpClient() = default;

HttpResponse HttpClient::start(const HttpRequest& request, const StopToken& stop) {
    auto response = begin(request, stop);
    response.await_head();
    return response;
}

HttpResponse HttpClient::begin(const HttpRequest& request, const StopToken& stop) {
    HttpResponse response(std::make_unique<HttpResponse::Transfer>(*state_, request, stop));
    state_->perform();  // over a connection that is there the request is on its way now
    return response;
}

HttpReply HttpClient::fetch(const HttpRequest& request, const StopToken& stop, std::size_t max_body) {
    auto response = start(request, stop);
    HttpReply reply;
    reply.status = response.status();
    reply.headers = response.headers();
    reply.body = response.read_all(max_body);
    return reply;
}

HttpResponse::HttpResponse(std::unique_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}

HttpResponse::HttpResponse(HttpResponse&&) noexcept = default;
HttpResponse& HttpResponse::operator=(HttpResponse&&) noexcept = default;
HttpResponse::~HttpResponse() = default;

void HttpResponse::await_head() {
    transfer_->wait_for_head();
}

int HttpResponse::status() const {
    return transfer_->status;
}

const HttpHeaders& HttpResponse::headers() const {
    return transfer_->headers;
}

std::size_t HttpResponse::read(char* to, std::size_t size) {
    auto& rest = transfer_->rest;
    if (rest.empty()) {
        rest = transfer_->next_piece();
    }
    const auto count = std::min(size, rest.size());
    if (count > 0) {
        std::memcpy(to, rest.data(), count);
    }
    rest.remove_prefix(count);
    return count;
}

std::string_view HttpResponse::read_chunk() {
    auto& rest = transfer_->rest;
    return rest.empty() ? transfer_->next_piece() : std::exchange(rest, {});
}

std::string HttpResponse::read_all(std::size_t max_body) {
    std::string out;
    for (auto piece = read_chunk(); !piece.empty(); piece = read_chunk()) {
        if (piece.size() > max_body - out.size()) {
            throw Error(
                ErrorKind::transient,
                "http.protocol",
                transfer_->origin + ": the answer is larger than " + std::to_string(max_body) + " bytes"
            );
        }
        out += piece;
    }
    return out;
}

std::uint64_t HttpResponse::wire_bytes() const {
    return transfer_->wire_bytes;
}

}  // namespace headrace::net
