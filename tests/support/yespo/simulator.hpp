// A Yespo for tests and for `headrace dev`: GET /api/v1/group/{id}/contacts with startindex and maxrows, Basic auth,
// and on request what the real one, or a proxy before it, does wrong. Like the real one it gives a list of one element
// as that element. Thread-safe.
#pragma once

#include "support/bigquery/wire.hpp"
#include "support/yespo/contacts.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::support::yespo {

// What goes wrong, from the `nth` request for contacts on (counted from inject()), so many `times` (-1: for ever):
//   status      HTTP status `at`, body `text`, header Retry-After      redirect     to `text`, with status `at`
//   reset, cut, reset_within, hang, drip, unframed, no_last_chunk, bad_chunk, short_length       as wire.hpp says
//   body        `text` instead of the rows                             typed        `text` = "type|body"
//   json_cut    the JSON text ends after `at` bytes                    bom          a byte order mark before it
//   gzip, gzip_cut, gzip_garbage, gzip_plain, gzip_bomb (`at` bytes)   first        `text` instead of the first contact
//   deep        the first contact is nested `at` levels                huge         it has a text of `at` bytes
//   short       at most `at` rows      empty     none                  zero_based   startindex counts from 0
//   ignore_start  always the first rows                                total        TotalCount is `text`; "": none
// and to the group, before it is answered:
//   insert_front, delete_front, append (`at` contacts), shuffle, delete_all
struct Fault {
    std::string what;
    long at = 0;
    std::string text = "";
    int nth = 1;
    int times = 1;
    std::string retry_after = "";
    std::string group = "";  // "" = any
};

struct Seen {  // a request for contacts
    std::string group;
    std::int64_t start = 0;
    std::int64_t rows = 0;
    std::string user;
};

class Simulator {
public:
    explicit Simulator(std::uint16_t port = 0);
    ~Simulator();
    Simulator(const Simulator&) = delete;
    Simulator& operator=(const Simulator&) = delete;

    // A group of an account with this API key: contacts `first`, `first` + 1, … Replaces one of the same id.
    void add_group(const std::string& id, const std::string& key, std::uint32_t members, std::uint32_t first = 1);
    std::vector<std::uint32_t> members(const std::string& group) const;
    void inject(Fault fault);
    void mend();  // no faults

    std::string address() const;  // host:port
    std::string url() const;      // http://host:port/api/v1
    std::vector<Seen> seen() const;
    std::size_t count() const;  // requests for contacts

private:
    struct Group {
        std::string key;
        std::vector<std::uint32_t> members;
    };

    bigquery::Reply handle(const bigquery::Request& request);
    bigquery::Reply contacts(const bigquery::Request& request, const std::string& id, const std::string& user);
    std::optional<Fault> take_fault(const std::string& group);
    static void change(Group& group, const Fault& fault);

    mutable std::mutex mutex_;
    std::map<std::string, Group> groups_;
    std::vector<Fault> faults_;
    std::map<std::string, int> counts_;  // by group; "" = all
    std::vector<Seen> seen_;
    ContactTexts texts_;
    std::unique_ptr<bigquery::Listener> listener_;  // last: its threads use all of the above
};

}  // namespace headrace::support::yespo
