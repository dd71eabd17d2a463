// From page to page, and the proof that the last one was the last. Pure: says what to ask for, and is told what came.
//
// Errors of done() and refused(): source.incomplete (transient) for everything that breaks the proof: a page, cursor or
// address that came before, a total that changes or is not met, a list that moves faster than it can be read.
#pragma once

#include "source/http/config.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headrace::source::http {

// What to ask for: the source's own request, changed by this.
struct Ask {
    std::vector<std::pair<std::string, std::string>> query;         // added
    std::vector<std::pair<std::string, std::string>> placeholders;  // "@cursor" → JSON, in the body
    std::string url;                                                // instead of the source's; ""
    std::string what;                                               // "page 3", for messages
    bool optional = false;                                          // a refusal is an answer, too: refused() is told

    bool operator==(const Ask&) const = default;
};

// What came.
struct PageFacts {
    std::uint64_t rows = 0;           // received
    std::uint64_t fresh = 0;          // not seen before; the same as rows where nothing tells them apart
    std::uint64_t fresh_in_pass = 0;  // the same since the list was begun again
    std::uint64_t hash = 0;           // of all rows
    bool uniform = true;              // all rows are the same: such a page may honestly come again
    bool first_seen = false;          // the first row came before in this pass
    std::vector<std::int64_t> keys;   // of the rows, where there is a key; at most most_keys
    std::optional<std::string> cursor, more, total;
    std::string next_url;  // of the Link header, absolute
};

inline constexpr std::size_t most_keys = 1000;

class Paging {
public:
    Paging() = default;
    Paging(const Paging&) = delete;
    Paging& operator=(const Paging&) = delete;
    virtual ~Paging() = default;

    virtual std::optional<Ask> next() = 0;  // nullopt: over, and proven

    // While the page that was asked for arrives: what next() will probably say. nullopt: that cannot be known.
    virtual std::optional<Ask> guess() const { return std::nullopt; }

    virtual void done(const PageFacts& facts) = 0;

    virtual void refused(int) {}

    virtual int pass() const { return 1; }  // how often the list was begun

    virtual std::string proof() const = 0;

    // A line for the run's log since the last call; "".
    std::string take_remark() { return std::exchange(remark_, {}); }

protected:
    std::string remark_;
};

std::unique_ptr<Paging> make_paging(const Config& config);

// The target of rel="next" in a Link header (RFC 8288); "" when there is none.
std::string next_link(std::string_view header);
// Absolute form of `reference`, found at `base`.
std::string resolve_reference(std::string_view base, std::string_view reference);
std::string origin_of(std::string_view url);  // "https://host:port", lower case, with the port

}  // namespace headrace::source::http
