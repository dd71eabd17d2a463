#include "redis/connection.hpp"

#include "redis/locate.hpp"
#include "redis/resp.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace headrace::redis {
namespace {

constexpr std::size_t reference_from = 4 * 1024;
constexpr std::size_t read_size = 16 * 1024;  // at least
constexpr std::size_t keep_capacity = 256 * 1024;

}  // namespace

struct Connection::State {
    // A piece of the outgoing bytes: [from, to) of `buffer`, or memory of the caller.
    struct Piece {
        std::size_t from = 0;
        std::size_t to = 0;
        std::string_view outside;
    };

    std::string name;
    net::Stream stream;
    StopToken stop;
    std::chrono::milliseconds reply_timeout;
    RespReader reader;
    std::string buffer;
    std::vector<Piece> pieces;  // only filled when something outside is referenced
    std::size_t covered = 0;    // bytes of `buffer` that `pieces` already names
    std::size_t outside_bytes = 0;
    std::size_t pending = 0;
    const bool tls;
    bool read_dry = false;  // the last read took all that was there
    bool dead = false;

    State(net::Stream s, std::string n, StopToken t, std::chrono::milliseconds timeout, bool is_tls)
        : name(std::move(n)), stream(std::move(s)), stop(std::move(t)), reply_timeout(timeout), tls(is_tls) {}

    // Any failure below leaves the dialogue at an unknown place, so the connection must not be used again.
    template <class Function>
    auto guarded(Function&& function) {
        try {
            return function();
        } catch (const Error& error) {
            dead = true;
            stream.close();
            throw translated(error);
        }
    }

    Error translated(const Error& error) const {
        if (error.code() == "net.timeout") {
            return Error(error.kind(), "redis.timeout", name + ": no answer in time");
        }
        if (error.code() == "net.closed" || error.code() == "net.io" || error.code() == "net.connect" ||
            error.code() == "net.dns") {
            return Error(error.kind(), "redis.connect", error.message());
        }
        return error;
    }

    void require_alive() const {
        if (dead) {
            throw Error(ErrorKind::transient, "redis.connect", name + ": the connection was lost");
        }
    }

    void reference(std::string_view value) {
        if (covered < buffer.size()) {
            pieces.push_back({covered, buffer.size(), {}});
            covered = buffer.size();
        }
        pieces.push_back({0, 0, value});
        outside_bytes += value.size();
    }

    void add_value(std::string_view value) {
        if (value.size() >= reference_from) {
            reference(value);
        } else {
            buffer.append(value);
        }
    }

    void add_by_reference(Args args, Args parts, bool with_parts) {
        append_head(buffer, args.size() + (with_parts ? 1 : 0));
        for (auto arg : args) {
            append_argument_head(buffer, arg.size());
            add_value(arg);
            buffer.append("\r\n");
        }
        if (with_parts) {
            std::size_t total = 0;
            for (auto part : parts) {
                total += part.size();
            }
            append_argument_head(buffer, total);
            for (auto part : parts) {
                add_value(part);
            }
            buffer.append("\r\n");
        }
        ++pending;
    }

    void flush() {
        if (buffer.empty()) {
            return;
        }
        if (pieces.empty()) {
            stream.write_all(buffer, Deadline::in(reply_timeout), stop);
        } else {
            flush_pieces();
        }
        buffer.clear();
        if (buffer.capacity() > keep_capacity) {
            buffer.shrink_to_fit();
        }
        pieces.clear();
        covered = 0;
        outside_bytes = 0;
    }

    // One deadline per 4 MiB, so that a slow link may take its time as long as it moves.
    void flush_pieces() {
        constexpr std::size_t group_bytes = 4 * 1024 * 1024;
        reference({});
        std::vector<std::string_view> group;
        std::size_t bytes = 0;
        auto send = [&] {
            stream.write_all(std::span<const std::string_view>(group), Deadline::in(reply_timeout), stop);
            group.clear();
            bytes = 0;
        };
        for (const auto& piece : pieces) {
            std::string_view rest = piece.outside.empty()
                                        ? std::string_view(buffer).substr(piece.from, piece.to - piece.from)
                                        : piece.outside;
            while (!rest.empty()) {
                auto part = rest.substr(0, group_bytes - bytes);
                group.push_back(part);
                bytes += part.size();
                rest.remove_prefix(part.size());
                if (bytes == group_bytes) {
                    send();
                }
            }
        }
        if (!group.empty()) {
            send();
        }
    }

    std::optional<Reply> next() {
        auto reply = reader.next();
        pending -= reply ? 1 : 0;
        return reply;
    }

    void took(std::size_t count) {
        if (count == 0) {
            throw Error(ErrorKind::transient, "redis.connect", name + ": the server closed the connection");
        }
        reader.came(count);
    }

    Reply read(Deadline deadline) {
        for (;;) {
            if (auto reply = next()) {
                return std::move(*reply);
            }
            const auto room = reader.room(read_size);
            took(stream.read_some(room.data(), room.size(), deadline, stop));
        }
    }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}

Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Connection Connection::connect(const Options& options, const StopToken& stop) {
    constexpr int redirections = 5;
    auto address = options.sentinels.empty() ? options.address : find_master(options, stop);
    for (int i = 0; i < redirections; ++i) {
        auto connection = connect_to(address, options, stop);
        if (!options.sentinels.empty() && connection.command({"ROLE"}).at(0).str() != "master") {
            // The Sentinels have not agreed yet, or the server has not been told.
            throw Error(ErrorKind::transient, "redis.connect", connection.name() + " is not the master");
        }
        if (options.cluster_key.empty()) {
            return connection;
        }
        auto reply = connection.command_raw({"EXISTS", options.cluster_key});
        const auto moved = moved_to(reply, address);
        if (!moved) {
            checked(std::move(reply));
            return connection;
        }
        address = *moved;
    }
    throw Error(ErrorKind::transient, "redis.connect", "the nodes of the cluster do not agree on who has the keys");
}

Connection Connection::connect_to(const net::Address& address, const Options& options, const StopToken& stop) {
    const std::string name = "redis " + address.text();
    const auto deadline = Deadline::in(options.connect_timeout);
    std::unique_ptr<State> state;
    try {
        auto stream = net::Stream::connect(address, options.tls ? &options.tls_options : nullptr, deadline, stop);
        state = std::make_unique<State>(std::move(stream), name, stop, options.reply_timeout, options.tls);
    } catch (const Error& error) {
        if (error.code() == "net.cancelled" || error.code() == "net.tls") {
            throw;
        }
        throw Error(error.kind(), error.code() == "net.timeout" ? "redis.timeout" : "redis.connect", error.message());
    }
    Connection connection(std::move(state));
    if (!options.password.empty()) {
        const std::string& password = options.password.reveal();
        if (options.user.empty()) {
            connection.append({"AUTH", password});
        } else {
            connection.append({"AUTH", options.user, password});
        }
    }
    if (options.db != 0) {
        connection.append({"SELECT", std::to_string(options.db)});
    }
    if (!options.client_name.empty()) {
        connection.append({"CLIENT", "SETNAME", options.client_name});
    }
    // A server that still loads, or wants a password, says so here and not at the first real command.
    connection.append({"PING"});
    std::optional<Error> failure;
    while (connection.pending() > 0) {
        auto reply = connection.read_reply(deadline);
        if (reply.is_error() && !failure) {
            failure = error_of(reply);
        }
    }
    if (failure) {
        throw *failure;
    }
    return connection;
}

Reply Connection::command(List args) {
    return checked(command_raw(Args(args.begin(), args.size())));
}

Reply Connection::command(Args args) {
    return checked(command_raw(args));
}

Reply Connection::command_raw(List args) {
    return command_raw(Args(args.begin(), args.size()));
}

Reply Connection::command_raw(Args args) {
    state_->require_alive();
    if (state_->pending != 0) {
        throw Error(ErrorKind::bug, "internal.bug", "a Redis command in the middle of a pipeline");
    }
    append_by_reference(args);
    return read_reply();
}

void Connection::append(Args args) {
    state_->require_alive();
    append_command(state_->buffer, args);
    ++state_->pending;
}

void Connection::append(List args) {
    append(Args(args.begin(), args.size()));
}

void Connection::append_encoded(std::string_view resp) {
    state_->require_alive();
    state_->buffer.append(resp);
    ++state_->pending;
}

void Connection::append_by_reference(Args args) {
    state_->require_alive();
    state_->add_by_reference(args, {}, false);
}

void Connection::append_parts(Args args, Args parts) {
    state_->require_alive();
    state_->add_by_reference(args, parts, true);
}

void Connection::flush() {
    state_->require_alive();
    state_->guarded([&] { state_->flush(); });
}

Reply Connection::read_reply() {
    return read_reply(Deadline::in(state_->reply_timeout));
}

Reply Connection::read_reply(Deadline deadline) {
    flush();
    return state_->guarded([&] { return state_->read(deadline); });
}

std::optional<Reply> Connection::try_read_reply() {
    state_->require_alive();
    return state_->guarded([&]() -> std::optional<Reply> {
        for (;;) {
            if (auto reply = state_->next()) {
                return reply;
            }
            if (std::exchange(state_->read_dry, false)) {
                return std::nullopt;  // no second read to hear that there is nothing
            }
            const auto room = state_->reader.room(read_size);
            const auto count = state_->stream.read_available(room.data(), room.size());
            if (!count) {
                return std::nullopt;
            }
            state_->took(*count);
            state_->read_dry = !state_->tls && *count < room.size();
        }
    });
}

std::size_t Connection::pending() const {
    return state_->pending;
}

std::size_t Connection::unsent_bytes() const {
    return state_->buffer.size() + state_->outside_bytes;
}

int Connection::fd() const {
    return state_->stream.fd();
}

bool Connection::wants_write() const {
    return state_->stream.wants_write();
}

bool Connection::is_dead() const {
    return !state_ || state_->dead;
}

bool Connection::peer_is_gone() {
    if (is_dead()) {
        return true;
    }
    try {
        // Nothing was asked, so any byte is out of place and the end is the end.
        char byte = 0;
        if (!state_->stream.read_available(&byte, 1)) {
            return false;
        }
    } catch (const Error&) {
        // Reported by the return value.
    }
    close();
    return true;
}

const std::string& Connection::name() const {
    return state_->name;
}

void Connection::close() noexcept {
    if (state_) {
        state_->dead = true;
        state_->stream.close();
    }
}

std::string_view info_field(std::string_view info, std::string_view key) {
    while (!info.empty()) {
        auto line = info.substr(0, info.find('\n'));
        info.remove_prefix(std::min(info.size(), line.size() + 1));
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ':') {
            line.remove_prefix(key.size() + 1);
            return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
        }
    }
    return {};
}

}  // namespace headrace::redis
