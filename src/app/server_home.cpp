#include "app/server_home.hpp"

#include "base/error.hpp"
#include "base/ids.hpp"
#include "net/wait.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace headrace::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_socket_dir = 107 - 20;
constexpr std::uintmax_t log_limit = 16 * 1024 * 1024;

[[noreturn]] void fail(const std::string& what, int error) {
    throw Error(
        ErrorKind::permanent, "dev.server_failed", fmt::format("{}: {}", what, std::generic_category().message(error))
    );
}

std::optional<Account> owner_of(const std::string& path) {
    struct stat info {};

    if (::stat(path.c_str(), &info) != 0 || info.st_uid == 0) {
        return std::nullopt;
    }
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    ::getpwuid_r(info.st_uid, &entry, buffer.data(), buffer.size(), &found);
    return Account{found != nullptr ? found->pw_name : std::to_string(info.st_uid), info.st_uid, info.st_gid};
}

// FNV-1a: names a folder after another one, the same at every start.
std::string short_hash(std::string_view text) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    return fmt::format("{:016x}", hash);
}

void make_private(const std::string& path, const std::optional<Account>& account) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        fail("cannot make " + path, errno);
    }

    struct stat info {};

    if (::lstat(path.c_str(), &info) != 0) {
        fail("cannot look at " + path, errno);
    }
    const auto uid = account ? account->uid : ::geteuid();
    if (!S_ISDIR(info.st_mode) || (info.st_uid != uid && info.st_uid != ::geteuid())) {
        throw Error(ErrorKind::permanent, "dev.server_failed", path + " belongs to somebody else");
    }
    if (::chmod(path.c_str(), 0700) != 0 || (account && ::chown(path.c_str(), account->uid, account->gid) != 0)) {
        fail("cannot own " + path, errno);
    }
}

// Missing folders above; whatever our umask is, the account must be able to pass.
void make_parents(const fs::path& folder, mode_t mode) {
    if (folder.empty() || fs::exists(folder)) {
        return;
    }
    make_parents(folder.parent_path(), mode);
    if ((::mkdir(folder.c_str(), mode) != 0 && errno != EEXIST) || ::chmod(folder.c_str(), mode) != 0) {
        fail("cannot make " + folder.string(), errno);
    }
}

std::uint16_t bind_port(std::uint16_t wanted) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(wanted);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    const int on = 1;  // as the servers do: a port in TIME_WAIT is free
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.get(), raw, size) != 0 || ::listen(socket.get(), 1) != 0 ||
        ::getsockname(socket.get(), raw, &size) != 0) {
        return 0;
    }
    return ntohs(address.sin_port);
}

// The server of this folder is the process whose working directory is its data folder: a pid alone may be somebody
// else's.
bool works_in(pid_t pid, const std::string& folder) {
    std::error_code error;
    const auto cwd = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
    return !error && cwd == folder;
}

}  // namespace

ServerHome::ServerHome(const std::string& wanted, std::string name)
    : name_(std::move(name)), path_(fs::weakly_canonical(fs::absolute(wanted)).string()) {
    choose_account();
    if (account_ && !reachable()) {
        moved_ = true;
        path_ = fmt::format("/var/lib/headrace-dev/{}-{}", short_hash(path_), name_);
        choose_account();
    }
    socket_dir_ = path_ + "/run";
    if (socket_dir_.size() > longest_socket_dir) {
        socket_dir_ = fmt::format("/tmp/headrace-{}-{}", ::geteuid(), short_hash(path_));
    }
}

void ServerHome::choose_account() {
    account_.reset();
    if (::geteuid() == 0) {
        account_ = owner_of(path_);
        for (const auto* candidate : {name_.c_str(), "nobody"}) {
            if (!account_) {
                account_ = Account::find(candidate);
            }
        }
    }
}

bool ServerHome::reachable() const {
    for (auto folder = fs::path(path_).parent_path(); folder != folder.root_path(); folder = folder.parent_path()) {
        struct stat info {};

        if (::stat(folder.c_str(), &info) != 0) {
            continue;  // not made yet: it will be, by us, and open to all
        }
        const mode_t bit = info.st_uid == account_->uid ? S_IXUSR : info.st_gid == account_->gid ? S_IXGRP : S_IXOTH;
        if ((info.st_mode & bit) == 0) {
            return false;
        }
    }
    return true;
}

void ServerHome::open() {
    make_parents(fs::path(path_).parent_path(), account_ ? 0711 : 0700);
    std::error_code error;
    make_private(path_, account_);
    for (const auto& folder : {path_ + "/log", path_ + "/run", socket_dir_}) {
        make_private(folder, account_);
    }
    const auto lock_file = path_ + "/lock";
    lock_ = Fd(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock_) {
        fail("cannot open " + lock_file, errno);
    }
    own(lock_file);
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
        lock_.reset();
        throw Error(ErrorKind::permanent, "dev.server_failed", "another process runs the " + name_ + " of " + path_)
            .with_hint("Is `headrace dev` running in another terminal?");
    }
    end_orphan();
    if (fs::file_size(log_file(), error) > log_limit && !error) {
        fs::rename(log_file(), log_file() + ".1", error);
    }
}

void ServerHome::close() {
    lock_.reset();
}

void ServerHome::own(const std::string& file) const {
    if (account_ && ::lchown(file.c_str(), account_->uid, account_->gid) != 0) {
        fail("cannot own " + file, errno);
    }
}

void ServerHome::write(const std::string& name, std::string_view content) const {
    const auto target = path_ + "/" + name;
    const auto aside = target + ".new";
    ::unlink(aside.c_str());
    {
        const Fd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        std::size_t sent = 0;
        while (fd && sent < content.size()) {
            const auto got = ::write(fd.get(), content.data() + sent, content.size() - sent);
            if (got < 0) {
                fail("cannot write " + aside, errno);
            }
            sent += static_cast<std::size_t>(got);
        }
        if (!fd) {
            fail("cannot write " + aside, errno);
        }
    }
    own(aside);
    if (::rename(aside.c_str(), target.c_str()) != 0) {
        fail("cannot write " + target, errno);
    }
}

std::optional<std::string> ServerHome::read(const std::string& name) const {
    std::ifstream in(path_ + "/" + name, std::ios::binary);
    if (!in) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void ServerHome::make_folder(const std::string& name) const {
    make_private(path_ + "/" + name, account_);
}

Secret ServerHome::password(const std::string& name) const {
    auto text = read(name);
    if (!text || text->empty()) {
        text = random_token(24);
        write(name, *text);
    }
    return Secret(*text);
}

std::uint16_t ServerHome::choose_port(bool fresh, const std::string& name) const {
    std::uint16_t port = 0;
    const auto text = read(name);
    if (text && !fresh) {
        std::uint16_t last = 0;
        std::from_chars(text->data(), text->data() + text->size(), last);
        port = last != 0 ? bind_port(last) : 0;
    }
    port = port != 0 ? port : bind_port(0);
    if (port == 0) {
        fail("no free port", errno);
    }
    write(name, std::to_string(port));
    return port;
}

void ServerHome::remember(pid_t pid) const {
    write("pid", std::to_string(pid));
}

void ServerHome::end_orphan() const {
    const auto text = read("pid");
    pid_t pid = 0;
    if (text) {
        std::from_chars(text->data(), text->data() + text->size(), pid);
    }
    const Fd handle = pid > 1 ? open_process(pid) : Fd();
    if (!handle || !works_in(pid, data())) {
        return;
    }
    for (const int number : {SIGINT, SIGTERM, SIGKILL}) {  // SIGINT is Postgres' fast shutdown
        signal_process(handle, number);
        signal_process(handle, SIGCONT);  // a stopped one hears nothing else
        if (net::wait_readable(handle.get(), Deadline::in(std::chrono::seconds(5)), {}) == net::Ready::ready) {
            return;
        }
    }
    throw Error(ErrorKind::permanent, "dev.server_failed", fmt::format("an old {} (pid {}) does not end", name_, pid));
}

}  // namespace headrace::app
