// Page cursors: base64url(JSON) + "." + a short MAC. They survive restarts and are good at every api process, because
// the key comes from SESSION_SECRET. A cursor belongs to its filters. Immutable, thread-safe.
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>

namespace headrace::api {

// Where the next page begins: after this row.
struct Cursor {
    std::string queued_at;  // as Postgres writes it, with all its digits
    std::string run_id;
};

class CursorCodec {
public:
    explicit CursorCodec(const Secret& secret);

    std::string encode(const Cursor& cursor, std::string_view filter) const;
    // Throws api.invalid_cursor: forged, cut, of another list, or of another filter.
    Cursor decode(std::string_view text, std::string_view filter) const;

private:
    std::string key_;
};

}  // namespace headrace::api
