#include "app/context.hpp"

#include "app/registry.hpp"
#include "base/log.hpp"
#include "credential/envelope.hpp"
#include "credential/store.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace headrace::app {

Context Context::load() {
    Context context;
    auto& config = context.config;
    config = load_config();
    log::set_json(config.log_json);
    log::set_level(
        config.log_level == "debug"   ? log::Level::debug
        : config.log_level == "warn"  ? log::Level::warn
        : config.log_level == "error" ? log::Level::error
                                      : log::Level::info
    );
    require(config.database_url, "DATABASE_URL");
    require(config.redis_url, "REDIS_URL");
    context.db.url = config.database_url;
    // What is held by a worker that vanished must go as fast as its lease does.
    context.db.idle_transaction_timeout = std::min(context.db.idle_transaction_timeout, config.lease);
    context.queue_redis = redis::parse_redis_url(config.redis_url);
    context.cache_redis = redis::parse_redis_url(config.cache_redis_url);
    context.registry = make_registry(context.cache_redis, context.db, config.egress);
    return context;
}

pipeline::Credential Context::credential(postgres::Connection& connection, const std::string& name) const {
    const credential::Store store(credential::load_key_file(config.key_file));
    auto found = store.resolve(connection, name);
    return {
        .name = found.name,
        .kind = found.kind,
        .settings = {found.settings.begin(), found.settings.end()},
        .secret = std::move(found.secret),
        .allowed_hosts = std::move(found.allowed_hosts)};
}

run::WorkerSettings Context::worker_settings() const {
    require(config.key_file, "HEADRACE_KEY_FILE");
    return {
        .db = db,
        .queue_redis = queue_redis,
        .cache_redis = cache_redis,
        .name = config.worker_name,
        .concurrency = config.worker_concurrency,
        .queue = config.queue,
        .prefix = config.queue_prefix,
        .events_stream = config.events_stream,
        .lease = config.lease,
        .sweep = config.sweep,
        .pipelines_folder = config.pipelines,
        .verify =
            [this](postgres::Connection& c) {
                // Without its key a worker could read no credential: refuse now and not at the first run.
                credential::Store(credential::load_key_file(config.key_file)).verify_key(c);
            },
        .credential = [this](postgres::Connection& c, const std::string& name) { return credential(c, name); }};
}

SignalWait::SignalWait() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

SignalWait::~SignalWait() {
    ::close(fd_);
}

StopOnSignal::StopOnSignal()
    : thread_([this] {
          if (signals_.wait(over_.token().fd()) != 0) {
              stop_.request_stop("interrupted");
          }
      }) {}

StopOnSignal::~StopOnSignal() {
    over_.request_stop();
    thread_.join();
}

int SignalWait::wait(int other, Deadline deadline) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {other, POLLIN, 0}};
    for (;;) {
        const int got = ::poll(fds, 2, deadline.poll_timeout());
        signalfd_siginfo info{};
        if (::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            return static_cast<int>(info.ssi_signo);
        }
        if (got > 0 || (got == 0 && deadline.passed())) {
            return 0;
        }
    }
}

}  // namespace headrace::app
