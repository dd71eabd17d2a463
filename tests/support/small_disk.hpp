// A file system of its own over a folder, small enough to be filled. Needs the right to mount: mounted() says whether
// it worked; a test that cannot have one skips itself.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace headrace::support {

class SmallDisk {
public:
    // The folder keeps its owner and mode. `size` as tmpfs takes it: "4m".
    SmallDisk(std::string folder, const std::string& size) : folder_(std::move(folder)) {
        struct stat before {};

        mounted_ = ::stat(folder_.c_str(), &before) == 0 &&
                   ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
        if (mounted_) {
            ::chmod(folder_.c_str(), before.st_mode & 07777);
            owned_ = ::chown(folder_.c_str(), before.st_uid, before.st_gid) == 0;
        }
    }

    ~SmallDisk() {
        if (mounted_) {
            ::umount2(folder_.c_str(), MNT_DETACH);
        }
    }

    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool mounted() const { return mounted_ && owned_; }

    bool resize(const std::string& size) {
        return ::mount("tmpfs", folder_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()) == 0;
    }

    const std::string& folder() const { return folder_; }

private:
    std::string folder_;
    bool mounted_ = false;
    bool owned_ = false;
};

}  // namespace headrace::support
