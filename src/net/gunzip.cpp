#include "net/gunzip.hpp"

#include "base/error.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace headrace::net {
namespace {

constexpr int gzip_only = 16 + MAX_WBITS;
constexpr std::size_t most = std::numeric_limits<uInt>::max();

}  // namespace

Gunzip::Gunzip() : stream_(std::make_unique<z_stream_s>()) {
    if (::inflateInit2(stream_.get(), gzip_only) != Z_OK) {
        throw std::bad_alloc();
    }
}

Gunzip::~Gunzip() {
    ::inflateEnd(stream_.get());
}

std::size_t Gunzip::run(std::string_view& input, char* to, std::size_t size) {
    auto& z = *stream_;
    const auto room = static_cast<uInt>(std::min(size, most));
    z.next_out = reinterpret_cast<Bytef*>(to);
    z.avail_out = room;
    while (z.avail_out > 0 && !(input.empty() && between_members_)) {
        const auto offered = static_cast<uInt>(std::min(input.size(), most));
        z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
        z.avail_in = offered;
        between_members_ = false;
        const int result = ::inflate(&z, Z_NO_FLUSH);
        input.remove_prefix(offered - z.avail_in);
        if (result == Z_STREAM_END) {
            // RFC 1952 §2.2: members may follow each other.
            ::inflateReset(&z);
            between_members_ = true;
        } else if (result == Z_BUF_ERROR) {
            break;  // no input left
        } else if (result == Z_MEM_ERROR) {
            throw std::bad_alloc();
        } else if (result != Z_OK) {
            throw Error(
                ErrorKind::transient,
                "http.protocol",
                std::string("the compressed body is broken: ") + (z.msg != nullptr ? z.msg : "not gzip")
            );
        }
    }
    return room - z.avail_out;
}

}  // namespace headrace::net
