// The folder of one private server: who owns it, what lies in it, and who uses it now. All files are 0600, all folders
// 0700.
//
//   <path>/data  the server's own    <path>/log/<name>.log    <path>/run  unix sockets    <path>/lock, pid, port,
//   password…
//
// When we are root, the server runs as the owner of an existing folder, else as the account of its Debian package, else
// as `nobody`. When that account cannot reach the wanted folder (a project below /root), the folder moves to /var/lib.
#pragma once

#include "app/process.hpp"
#include "base/fd.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headrace::app {

class ServerHome {
public:
    // `name` is "postgres", "redis" or "clickhouse", and the account's name. Makes nothing yet.
    ServerHome(const std::string& wanted, std::string name);

    const std::string& path() const { return path_; }

    const std::string& name() const { return name_; }

    bool moved() const { return moved_; }  // not where it was wanted, because the account cannot get there

    std::string data() const { return path_ + "/data"; }

    std::string log_file() const { return path_ + "/log/" + name_ + ".log"; }

    // Short enough for a unix socket of up to 20 characters; a folder in /tmp when `path` is too deep.
    const std::string& socket_dir() const { return socket_dir_; }

    const std::optional<Account>& account() const { return account_; }

    // Makes the folders, takes the lock (dev.server_failed when another process holds it), ends a server that an
    // earlier owner left behind, and starts a new log file when the old one is large.
    void open();
    void close();  // gives the lock back

    // Whole and owned by the account, or not there (written aside and renamed). `name` is relative to path().
    void write(const std::string& name, std::string_view content) const;
    std::optional<std::string> read(const std::string& name) const;
    void make_folder(const std::string& name) const;
    // Made at the first call and kept for ever in a file of that name.
    Secret password(const std::string& name) const;

    // The port of the last time when it is free, else any free one; remembered under `name`. `fresh` forgets the old
    // one.
    std::uint16_t choose_port(bool fresh, const std::string& name = "port") const;

    void remember(pid_t pid) const;  // for the orphan check of the next open()

private:
    void choose_account();
    bool reachable() const;
    void own(const std::string& file) const;
    void end_orphan() const;

    std::string name_;
    std::string path_;
    std::string socket_dir_;
    std::optional<Account> account_;
    bool moved_ = false;
    Fd lock_;
};

}  // namespace headrace::app
