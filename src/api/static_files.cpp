#include "api/static_files.hpp"

#include "api/problem.hpp"
#include "auth/cookie.hpp"
#include "base/log.hpp"
#include "net/http_names.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace headrace::api {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view robots = "User-agent: *\nDisallow: /\n";
constexpr std::string_view not_built =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Headrace</title></head><body>\n"
    "<h1>The page is not built</h1>\n"
    "<p>The service runs and its API answers below <code>/api</code>; only the files of the page are missing.</p>\n"
    "<p>Build them: <code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>, then load this address again.</p>\n"
    "</body></html>\n";

net::Response plain(int status, std::string_view type, std::string_view body) {
    net::Response out;
    out.status = status;
    out.headers.set("Content-Type", std::string(type));
    out.headers.set("Cache-Control", "no-cache");
    out.body = body;
    return out;
}

bool below(std::string_view path, std::string_view root) {
    return path == root || (path.starts_with(root) && path.size() > root.size() && path[root.size()] == '/');
}

bool is_page(std::string_view path) {
    return below(path, "/etl") || below(path, "/credentials") || path == "/login";
}

// The bundler names assets after their content: name-<hash>.ext below /assets/.
bool is_hashed(std::string_view path) {
    return path.starts_with("/assets/");
}

std::string hash_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    return auth::sha256_hex(bytes).substr(0, 24);
}

bool accepts_gzip(const net::Request& request) {
    const auto value = request.headers.joined("Accept-Encoding");
    const auto at = value.find("gzip");
    return at != std::string::npos && value.compare(at, 8, "gzip;q=0") != 0;
}

// If-None-Match: "a", W/"b", or *.
bool matches(std::string_view header, std::string_view etag) {
    return header == "*" || header.find(etag) != std::string_view::npos;
}

}  // namespace

std::shared_ptr<const StaticFiles::Scan> StaticFiles::scan(const std::string& folder) {
    auto out = std::make_shared<Scan>();
    std::error_code error;
    const auto root = fs::canonical(folder, error);
    if (error || !fs::is_regular_file(root / "index.html", error)) {
        return out;
    }
    out->stamp = fs::last_write_time(root / "index.html", error);
    for (const auto& entry : fs::recursive_directory_iterator(root, error)) {
        if (!entry.is_regular_file(error) || entry.is_symlink(error)) {
            continue;
        }
        const auto path = entry.path().string();
        auto name = "/" + fs::relative(entry.path(), root, error).generic_string();
        if (name.ends_with(".gz") || name.find("/.") != std::string::npos) {
            continue;
        }
        const auto twin = path + ".gz";
        out->files.emplace(
            std::move(name),
            File{
                path,
                "\"" + hash_of(path) + "\"",
                fs::is_regular_file(twin, error) ? twin : std::string(),
                std::string(net::mime_type(path))}
        );
    }
    return out;
}

std::shared_ptr<const StaticFiles::Scan> StaticFiles::current() {
    std::error_code error;
    const auto stamp =
        folder_.empty() ? fs::file_time_type{} : fs::last_write_time(fs::path(folder_) / "index.html", error);
    const std::lock_guard lock(mutex_);
    if (scan_ == nullptr || scan_->stamp != (error ? fs::file_time_type{} : stamp)) {
        scan_ = folder_.empty() ? std::make_shared<const Scan>() : scan(folder_);
    }
    return scan_;
}

net::Response StaticFiles::get(const net::Request& request) {
    if (request.method != "GET" && request.method != "HEAD") {
        throw Problem("api.method_not_allowed", "").with_header("Allow", "GET, HEAD");
    }
    if (request.path == "/") {
        auto out = plain(302, "text/plain; charset=utf-8", "");
        out.headers.set("Location", "/etl");
        return out;
    }
    const auto files = current();
    auto found = files->files.find(request.path);
    if (found == files->files.end() && is_page(request.path)) {
        found = files->files.find("/index.html");
        if (found == files->files.end()) {
            return plain(503, "text/html; charset=utf-8", not_built);
        }
    }
    if (found == files->files.end()) {
        return request.path == "/robots.txt" ? plain(200, "text/plain; charset=utf-8", robots)
                                             : plain(404, "text/plain; charset=utf-8", "There is nothing here.\n");
    }
    const auto& file = found->second;
    const bool gzip = !file.gzip.empty() && accepts_gzip(request);
    const auto etag = gzip ? file.etag.substr(0, file.etag.size() - 1) + "-gz\"" : file.etag;
    net::Response out;
    out.headers.set("Content-Type", file.type);
    out.headers.set("ETag", etag);
    out.headers.set("Cache-Control", is_hashed(found->first) ? "public, max-age=31536000, immutable" : "no-cache");
    if (!file.gzip.empty()) {
        out.headers.set("Vary", "Accept-Encoding");
    }
    if (const auto* known = request.headers.find("If-None-Match"); known != nullptr && matches(*known, etag)) {
        out.status = 304;
        return out;
    }
    if (gzip) {
        out.headers.set("Content-Encoding", "gzip");
    }
    out.file = gzip ? file.gzip : file.path;
    return out;
}

}  // namespace headrace::api
