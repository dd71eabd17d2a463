// The built page. Only what a scan of the folder has found is served, by its exact path, so no request can reach
// another file. A new build is noticed by the time stamp of index.html. Thread-safe.
#pragma once

#include "net/http_message.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace headrace::api {

class StaticFiles {
public:
    explicit StaticFiles(std::string folder) : folder_(std::move(folder)) {}

    // GET and HEAD of everything outside /api. Paths of the page's own routes (/etl…, /credentials…, /login) get
    // index.html; / leads to /etl; hashed assets may be kept for ever, the rest is asked for again each time.
    net::Response get(const net::Request& request);

private:
    struct File {
        std::string path;
        std::string etag;  // of its bytes
        std::string gzip;  // path of the precompressed twin, ""
        std::string type;
    };

    struct Scan {
        std::map<std::string, File, std::less<>> files;  // "/assets/app-1a2b.js"
        std::filesystem::file_time_type stamp{};
    };

    std::shared_ptr<const Scan> current();
    static std::shared_ptr<const Scan> scan(const std::string& folder);

    const std::string folder_;
    std::mutex mutex_;
    std::shared_ptr<const Scan> scan_;
};

}  // namespace headrace::api
