#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/ids.hpp"
#include "credential/envelope.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace headrace::credential {
namespace {

constexpr std::size_t longest_file = 256;

std::string system_sentence(int number) {
    return std::generic_category().message(number);
}

[[noreturn]] void wrong(const std::string& path, std::string_view why) {
    throw Error(ErrorKind::permanent, "credential.key_wrong", fmt::format("the key file {} {}", path, why));
}

// Asked of the open file, so that nobody can swap it in between.
void check_owner_and_mode(const Fd& fd, const std::string& path) {
    struct stat about {};

    if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
        wrong(path, "is no regular file");
    }
    if (about.st_uid != ::geteuid() && about.st_uid != 0) {
        wrong(path, "belongs to another user");
    }
    if ((about.st_mode & 07177) != 0) {
        wrong(path, fmt::format("has mode {:04o}; run chmod 600 (others must not read it)", about.st_mode & 07777u));
    }
}

void write_all(const Fd& fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const auto written = ::write(fd.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            throw Error(
                ErrorKind::permanent,
                "config.invalid",
                fmt::format("the key file {} cannot be written: {}", path, system_sentence(errno))
            );
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

}  // namespace

MasterKey load_key_file(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        const int number = errno;
        throw Error(
            ErrorKind::permanent,
            number == ENOENT ? "credential.key_missing" : "credential.key_wrong",
            fmt::format("the key file {} cannot be opened: {}", path, system_sentence(number))
        );
    }
    check_owner_and_mode(fd, path);
    std::string text(longest_file + 1, '\0');
    std::size_t size = 0;
    for (ssize_t got = 1; got != 0 && size < text.size();) {
        got = ::read(fd.get(), text.data() + size, text.size() - size);
        if (got < 0 && errno != EINTR) {
            wrong(path, "cannot be read: " + system_sentence(errno));
        }
        size += static_cast<std::size_t>(got > 0 ? got : 0);
    }
    std::string_view line(text.data(), size);
    while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) {
        line.remove_suffix(1);
    }
    auto bytes = base64_decode(line);
    sodium_memzero(text.data(), text.size());
    if (!bytes || bytes->size() != 32) {
        wrong(path, "must hold one line: 32 random bytes in base64");
    }
    auto key = MasterKey::from_bytes(*bytes);
    sodium_memzero(bytes->data(), bytes->size());
    return key;
}

// Written beside its place and linked into it: link() fails when the name is taken, and nobody sees half a key.
MasterKey create_key_file(const std::string& path) {
    auto key = MasterKey::random();
    const auto staging = path + "." + random_token(9);
    {
        const Fd fd(::open(staging.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd) {
            throw Error(
                ErrorKind::permanent,
                "config.invalid",
                fmt::format("the key file {} cannot be made: {}", path, system_sentence(errno))
            );
        }
        auto line = base64_encode(key.bytes().reveal()) + "\n";
        write_all(fd, line, path);
        sodium_memzero(line.data(), line.size());
        ::fsync(fd.get());
    }
    const int linked = ::link(staging.c_str(), path.c_str());
    const int number = errno;
    ::unlink(staging.c_str());
    if (linked != 0) {
        throw Error(
            ErrorKind::invalid,
            "config.invalid",
            number == EEXIST ? fmt::format("the key file {} exists; a master key is never overwritten", path)
                             : fmt::format("the key file {} cannot be made: {}", path, system_sentence(number))
        );
    }
    return key;
}

}  // namespace headrace::credential
