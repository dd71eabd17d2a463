// Incremental gzip decoding with a proof of the end (trailer CRC and length). Private to net; one
// thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

struct z_stream_s;

namespace headrace::net {

class Gunzip {
public:
    Gunzip();
    ~Gunzip();
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    // Takes from the front of `input`, writes at most `size` bytes. 0 = needs more input.
    // Throws Error{transient, "http.protocol"} on data that is not gzip.
    std::size_t run(std::string_view& input, char* to, std::size_t size);

    // True when nothing was fed at all, or the last member ended with a right trailer.
    bool complete() const { return between_members_; }

private:
    std::unique_ptr<z_stream_s> stream_;
    bool between_members_ = true;
};

}  // namespace headrace::net
