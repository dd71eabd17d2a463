#include "app/process.hpp"

#include "base/error.hpp"
#include "net/wait.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

extern char** environ;

namespace headrace::app {
namespace {

[[noreturn]] void fail_start(const std::string& program, std::string_view what, int error) {
    throw Error(
        ErrorKind::permanent,
        "dev.server_failed",
        fmt::format("{} could not be started: {}: {}", program, what, std::generic_category().message(error))
    );
}

bool is_program(const std::string& path) {
    struct stat info {};

    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> environment_of(const ProcessSpec& spec) {
    std::vector<std::string> result;
    for (char** entry = environ; !spec.clean_env && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto name = text.substr(0, text.find('='));
        if (std::none_of(spec.env.begin(), spec.env.end(), [&](const auto& pair) { return pair.first == name; })) {
            result.emplace_back(text);
        }
    }
    for (const auto& [name, value] : spec.env) {
        result.push_back(name + "=" + value);
    }
    return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (auto& text : texts) {
        result.push_back(text.data());
    }
    result.push_back(nullptr);
    return result;
}

// Everything the child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct Launch {
    const char* program = nullptr;
    char* const* argv = nullptr;
    char* const* env = nullptr;
    const char* cwd = nullptr;
    const Account* account = nullptr;
    int in = -1;
    int out = -1;
    int report = -1;
    int death_signal = SIGTERM;
    pid_t parent = 0;
};

struct Report {
    int error = 0;
    char what[28] = {};
};

[[noreturn]] void give_up(const Launch& launch, const char* what) {
    Report report;
    report.error = errno;
    std::strncpy(report.what, what, sizeof report.what - 1);
    [[maybe_unused]] const auto sent = ::write(launch.report, &report, sizeof report);
    ::_exit(127);
}

void reset_signals() {
    struct sigaction action {};

    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) {
        ::sigaction(number, &action, nullptr);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(const Launch& launch) {
    reset_signals();
    ::setpgid(0, 0);
    ::umask(077);
    if (launch.account != nullptr) {
        if (::setgroups(0, nullptr) != 0 ||
            ::setresgid(launch.account->gid, launch.account->gid, launch.account->gid) != 0 ||
            ::setresuid(launch.account->uid, launch.account->uid, launch.account->uid) != 0) {
            give_up(launch, "changing the user");
        }
    }
    // After the change of user, which clears it. A parent that died before this line is seen by the second test.
    if (::prctl(PR_SET_PDEATHSIG, launch.death_signal) != 0) {
        give_up(launch, "prctl");
    }
    if (::getppid() != launch.parent) {
        ::_exit(127);
    }
    if (launch.cwd != nullptr && ::chdir(launch.cwd) != 0) {
        give_up(launch, "entering its folder");
    }
    if (::dup2(launch.in, 0) < 0 || (launch.out >= 0 && (::dup2(launch.out, 1) < 0 || ::dup2(launch.out, 2) < 0))) {
        give_up(launch, "dup2");
    }
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(launch.program, launch.argv, launch.env);
    give_up(launch, "exec");
}

Fd open_input(const std::string& program, const std::string& path) {
    Fd fd(::open(path.empty() ? "/dev/null" : path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        fail_start(program, "opening its input", errno);
    }
    return fd;
}

Fd open_log(const std::string& program, const ProcessSpec& spec) {
    if (spec.log_file.empty()) {
        return {};
    }
    Fd fd(::open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!fd) {
        fail_start(program, "opening " + spec.log_file, errno);
    }
    if (spec.run_as && ::fchown(fd.get(), spec.run_as->uid, spec.run_as->gid) != 0) {
        fail_start(program, "chown of " + spec.log_file, errno);
    }
    return fd;
}

}  // namespace

std::optional<Account> Account::find(const std::string& name) {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
        return std::nullopt;
    }
    return Account{name, found->pw_uid, found->pw_gid};
}

std::string ExitStatus::text() const {
    return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", code);
}

std::string find_program(std::string_view name, const std::vector<std::string>& extra) {
    if (name.find('/') != std::string_view::npos) {
        return is_program(std::string(name)) ? std::string(name) : "";
    }
    auto folders = extra;
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    while (!rest.empty()) {
        const auto end = std::min(rest.find(':'), rest.size());
        folders.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    folders.insert(folders.end(), {"/usr/local/sbin", "/usr/sbin", "/sbin"});
    for (const auto& folder : folders) {
        auto candidate = folder + "/" + std::string(name);
        if (!folder.empty() && is_program(candidate)) {
            return candidate;
        }
    }
    return "";
}

std::string file_tail(const std::string& path, std::size_t lines) {
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) {
        return "";
    }
    const auto size = static_cast<std::streamoff>(in.tellg());
    const auto take = std::min<std::streamoff>(size, 64 * 1024);
    std::string text(static_cast<std::size_t>(take), '\0');
    in.seekg(size - take);
    in.read(text.data(), take);
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    auto from = text.size();
    for (std::size_t i = 0; i < lines && from != std::string::npos && from != 0; ++i) {
        from = text.rfind('\n', from - 1);
    }
    return from == std::string::npos || from == 0 ? text : text.substr(from + 1);
}

Fd open_process(pid_t pid) {
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

void signal_process(const Fd& process, int number) {
    ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0);
}

ChildProcess ChildProcess::start(const ProcessSpec& spec) {
    const auto program = find_program(spec.argv.at(0));
    if (program.empty()) {
        throw Error(ErrorKind::permanent, "dev.server_missing", fmt::format("there is no program {}", spec.argv[0]));
    }
    auto argv = spec.argv;
    auto env = environment_of(spec);
    const auto argv_pointers = pointers(argv);
    const auto env_pointers = pointers(env);
    const Fd in = open_input(program, spec.stdin_file);
    const Fd out = open_log(program, spec);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        fail_start(program, "pipe", errno);
    }
    Fd report_read(ends[0]);
    Fd report_write(ends[1]);

    Launch launch;
    launch.program = program.c_str();
    launch.argv = argv_pointers.data();
    launch.env = env_pointers.data();
    launch.cwd = spec.cwd.empty() ? nullptr : spec.cwd.c_str();
    launch.account = spec.run_as && ::geteuid() == 0 ? &*spec.run_as : nullptr;
    launch.in = in.get();
    launch.out = out.get();
    launch.report = report_write.get();
    launch.death_signal = spec.death_signal;
    launch.parent = ::getpid();

    const pid_t pid = ::fork();
    if (pid < 0) {
        fail_start(program, "fork", errno);
    }
    if (pid == 0) {
        run_child(launch);
    }
    ChildProcess child;
    child.pid_ = pid;
    child.pidfd_ = open_process(pid);
    report_write.reset();
    Report report;
    ssize_t got = 0;
    do {
        got = ::read(report_read.get(), &report, sizeof report);
    } while (got < 0 && errno == EINTR);
    if (got != 0) {
        fail_start(program, got == sizeof report ? report.what : "no report", report.error);
    }
    if (!child.pidfd_) {
        fail_start(program, "pidfd_open", errno);
    }
    return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)), ended_(std::exchange(other.ended_, {})) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    if (this != &other) {
        ChildProcess old(std::move(*this));
        pid_ = std::exchange(other.pid_, 0);
        pidfd_ = std::move(other.pidfd_);
        ended_ = std::exchange(other.ended_, {});
    }
    return *this;
}

ChildProcess::~ChildProcess() {
    if (pid_ > 0 && !ended_) {
        ::kill(-pid_, SIGKILL);
        ::kill(pid_, SIGKILL);  // in case its group is not made yet
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

bool ChildProcess::running() {
    return pid_ > 0 && !wait(Deadline::in(std::chrono::nanoseconds(0)), {});
}

std::optional<ExitStatus> ChildProcess::wait(Deadline deadline, const StopToken& stop) {
    if (ended_ || pid_ <= 0) {
        return ended_;
    }
    switch (net::wait_readable(pidfd_.get(), deadline, stop)) {
        case net::Ready::stopped:
            stop.throw_if_stopped();
            break;
        case net::Ready::timeout:
            return std::nullopt;
        case net::Ready::ready:
            break;
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    ended_ = WIFSIGNALED(status) ? ExitStatus{-1, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
    return ended_;
}

void ChildProcess::signal(int number) {
    if (pid_ > 0 && !ended_) {
        signal_process(pidfd_, number);
    }
}

ExitStatus ChildProcess::terminate(int number, std::chrono::milliseconds grace) {
    signal(number);
    if (auto status = wait(Deadline::in(grace), {})) {
        return *status;
    }
    if (pid_ > 0) {
        ::kill(-pid_, SIGKILL);
    }
    return wait(Deadline::never(), {}).value_or(ExitStatus{});
}

}  // namespace headrace::app
