// Many commands with bounded memory: at most a window of them is unanswered, at most a window of bytes is buffered.
// One thread, one connection, which must have nothing pending. Error replies do not stop the flow; the first one is
// thrown by drain() and counted in errors().
#pragma once

#include "redis/connection.hpp"

#include <cstddef>
#include <functional>
#include <optional>

namespace headrace::redis {

class Pipeline {
public:
    struct Window {
        std::size_t bytes = 1024 * 1024;  // sent when this much has gathered
        std::size_t commands = 1024;      // unanswered at most
    };

    explicit Pipeline(Connection& connection) : Pipeline(connection, Window{}) {}

    Pipeline(Connection& connection, Window window) : connection_(connection), window_(window) {}

    // Does not drain: the owner either called drain() or is unwinding from an error and must close the connection.
    ~Pipeline() = default;
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    void add(Connection::List args);
    void add(Connection::Args args);
    // The arguments may go away when this returns: large ones are sent from where they lie.
    void add_large(Connection::Args args);
    void add_parts(Connection::Args args, Connection::Args parts);

    // Waits for every answer. Throws the first error reply, or the I/O error.
    void drain();

    // Called for each good reply, in order of the commands.
    void on_reply(std::function<void(Reply&&)> handler) { handler_ = std::move(handler); }

    std::size_t commands() const { return commands_; }  // added in all

    std::size_t errors() const { return errors_; }

private:
    void added(bool must_flush);
    void take_one();

    Connection& connection_;
    Window window_;
    std::function<void(Reply&&)> handler_;
    std::size_t commands_ = 0;
    std::size_t errors_ = 0;
    std::optional<Error> first_;
};

}  // namespace headrace::redis
