// One connection of the HTTP server: a state machine on one I/O thread. Private to net
// (http_server*.cpp).
//
//   reading → handling → sending → reading …          (keep-alive)
//                          └→ streaming               (Server-Sent Events)
//   any → lingering → closed                          (we said our last word; the client may still
//   be talking)
#pragma once

#include "base/fd.hpp"
#include "net/asio.hpp"
#include "net/event_stream_reader.hpp"
#include "net/http_message.hpp"
#include "net/http_server.hpp"
#include "net/worker_pool.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace headrace::net {

class HttpSession;

// What all sessions share. Outlives them.
struct HttpCore {
    HttpServerOptions options;
    Handler handler;
    std::unique_ptr<WorkerPool> pool;
    std::string id_prefix;
    std::atomic<std::uint64_t> next_id{0};
    std::atomic<std::size_t> connections{0};
    std::function<void()> on_session_end;  // any I/O thread
};

// One I/O thread. Everything but `context` is touched by that thread only.
struct HttpEdge {
    explicit HttpEdge(HttpCore& shared) : core(shared) {}

    std::string_view date();

    HttpCore& core;
    asio::io_context context{1};
    asio::executor_work_guard<IoExecutor> work{context.get_executor()};
    std::list<std::shared_ptr<HttpSession>> sessions;  // each until its close()
    bool stopping = false;

private:
    std::time_t date_of_ = 0;
    std::string date_;
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
public:
    HttpSession(HttpEdge& edge, TcpSocket socket);
    ~HttpSession();
    HttpSession(const HttpSession&) = delete;
    HttpSession& operator=(const HttpSession&) = delete;

    void start();
    void wind_down();  // close now if idle, else after the answer; event streams end after what is queued
    void close();      // now

private:
    enum class State { reading, handling, sending, streaming, lingering, closed };
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Code = boost::system::error_code;

    // http_session_read.cpp
    void next_request();
    void parse();
    void read_more();
    void on_read(Code error, std::size_t count);
    bool accept_head();  // false: refused
    void refuse_parse_error(Code error);
    void refuse(int status, std::string_view code, std::string_view detail);
    std::string new_id();
    void dispatch();
    void handle() noexcept;  // on a pool thread

    // http_session_stream.cpp
    void begin_stream();
    void stream_more();
    void watch_for_hangup();

    // http_session.cpp
    void respond();
    void open_file();  // on a pool thread
    void send_head(std::optional<std::uint64_t> length, bool chunked);
    void send();
    bool send_text();
    bool send_file();
    void wait_to_send();
    void sent();
    void linger();
    void drop_input();
    void arm(std::chrono::milliseconds span);
    void disarm();
    void start_timer();
    void on_timer(std::uint64_t generation);
    void on_time_out();

    HttpEdge& edge_;
    TcpSocket socket_;
    IoTimer timer_;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
    std::chrono::steady_clock::time_point timer_at_;
    std::uint64_t timer_generation_ = 0;
    bool timer_running_ = false;
    std::list<std::shared_ptr<HttpSession>>::iterator place_;

    State state_ = State::reading;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;
    bool reading_ = false;  // a read is under way
    bool head_timer_set_ = false;
    bool head_accepted_ = false;
    bool keep_alive_ = true;
    bool served_before_ = false;  // at least one answer went out
    std::string remote_;
    Request request_;
    Response response_;

    std::string head_;  // what send() has to send: head, then body_, then the file
    std::string body_;
    std::size_t sent_ = 0;  // of head + body
    Fd file_;
    std::uint64_t file_size_ = 0;
    std::uint64_t file_left_ = 0;
    std::optional<EventStreamReader> stream_;
    bool stream_open_ = false;
};

}  // namespace headrace::net
