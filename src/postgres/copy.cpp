#include "postgres/connection_impl.hpp"

#include <poll.h>

#include <algorithm>

namespace headrace::postgres {
namespace {

// libpq keeps what the socket does not take: small pieces bound that.
constexpr std::size_t copy_piece = 64 * 1024;

// During a COPY the server speaks only to refuse (notices are off on such connections).
bool has_spoken(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 0) > 0;
}

}  // namespace

void Connection::put_copy(std::string_view bytes, Deadline deadline) {
    auto& impl = *impl_;
    while (!bytes.empty()) {
        if (impl.stop.stop_requested()) {
            impl.cancel();
            impl.stop.throw_if_stopped();
        }
        const auto piece = bytes.substr(0, std::min(copy_piece, bytes.size()));
        if (PQputCopyData(impl.conn, piece.data(), static_cast<int>(piece.size())) <= 0) {
            throw impl.lost("sending rows to Postgres failed");
        }
        impl.flush(with_grace(deadline));
        bytes.remove_prefix(piece.size());
    }
    if (has_spoken(PQsocket(impl.conn))) {
        // The answer names the reason; when there was none, this COPY fails with ours.
        PQputCopyEnd(impl.conn, "the server interrupted");
        impl.finish(with_grace(deadline));
        throw impl.lost("Postgres ended the COPY");
    }
}

std::uint64_t Connection::end_copy(Deadline deadline) {
    auto& impl = *impl_;
    for (int sent = 0; sent == 0; impl.flush(with_grace(deadline))) {
        sent = PQputCopyEnd(impl.conn, nullptr);
        if (sent < 0) {
            throw impl.lost("ending the COPY failed");
        }
    }
    return impl.finish(with_grace(deadline)).affected();
}

}  // namespace headrace::postgres
