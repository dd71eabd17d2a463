// A BigQuery for tests and for `headrace dev`: the REST calls that a reader needs, the token endpoint, the metadata
// server and the Storage Read API (gRPC), over tables that are rendered once. It knows no SQL but `SELECT * | columns
// FROM table [ORDER BY id] [LIMIT n]`. It checks every token and every signature, and does on request what the real
// one, or a proxy before it, does wrong. Thread-safe. The official Node clients read from it (tests/interop/bigquery).
#pragma once

#include "support/bigquery/table.hpp"
#include "support/bigquery/tokens.hpp"
#include "support/bigquery/wire.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::support::bigquery {

// What goes wrong. `on`: token, dry_run, query, insert, job, cancel, wait, page (see simulator.cpp for what each can
// do); session, read (see storage.cpp).
struct Fault {
    std::string on;
    std::string what;
    long at = 0;       // a byte, an HTTP status, a number of rows: depends on `what`
    std::string text;  // a reason, a body
    int nth = 1;       // page: of that number, else: from the nth such request on
    int times = 1;     // so often; -1 = for ever
    std::string retry_after = "";
};

struct Seen {  // a request, in the order in which they came
    std::string kind;
    std::string path;
    std::map<std::string, std::string> query;
    std::string body;
};

struct SimulatorOptions {
    std::uint16_t port = 0;
    std::string project = "headrace-test";
    std::uint64_t page_rows = 1000;
    bool require_auth = true;
    int expires_in = 3600;    // of tokens; -1: is not said
    bool token_first = true;  // pageToken before the rows, as the real service has it
    // Storage Read
    bool storage = false;
    std::uint64_t response_rows = 16'384;
    int connection_age_ms = 0;  // then GOAWAY, and the end of what still runs; 0 = never
    std::string certificate;    // PEM, with `private_key`: TLS
    std::string private_key;
};

// A query as it was sent.
struct Asked {
    std::string query;
    std::string dataset;                                                    // "project.dataset"
    std::map<std::string, std::pair<std::string, std::string>> parameters;  // name → type, value
};

class Simulator {
public:
    explicit Simulator(SimulatorOptions options = {});
    ~Simulator();
    Simulator(const Simulator&) = delete;
    Simulator& operator=(const Simulator&) = delete;

    void add(Table table);  // replaces one of the same name
    void inject(Fault fault);
    void mend();  // no faults

    std::string url() const;
    std::string address() const;  // host:port

    // Of the Storage Read API; "" without it.
    std::string storage_url() const;
    std::uint16_t storage_port() const;

    std::string token_uri() const { return url() + "/token"; }

    std::string key_file() const { return tokens_.key_file(token_uri(), options_.project); }

    Tokens& tokens() { return tokens_; }

    std::vector<Seen> seen() const;
    int count(std::string_view kind) const;
    std::string job_state(std::string_view id) const;  // "", PENDING, RUNNING, DONE, CANCELLED

private:
    struct View;
    struct Job;
    struct Page;
    struct Storage;

    Reply handle(const Request& request);
    Reply route(const Request& request, const std::string& kind);
    std::string kind_of(const Request& request) const;
    std::optional<Fault> take_fault(const std::string& kind, const Request& request);
    std::optional<Reply> early_fault(const Fault& fault);
    Reply give_token(const Request& request);
    Reply dry_run(const Request& request);
    Reply start_query(const Request& request);
    Reply insert(const Request& request, const std::optional<Fault>& fault);
    Reply get_job(const Request& request);
    Reply cancel(const Request& request);
    Reply wait(const Request& request, const std::optional<Fault>& fault);
    Reply page(const Request& request, const std::optional<Fault>& fault);
    // Null: the query is not one that the simulator understands, and `why` says what is wrong with it.
    std::shared_ptr<const View> view_of(const Asked& asked, std::string& why);
    std::shared_ptr<View> select(const Asked& asked, const std::string& query, std::string& why);
    std::shared_ptr<const std::string> slice(const View& view, std::uint64_t from, std::uint64_t count, bool gzip);
    Reply render(const Page& page, const Request& request);
    void start_storage();
    std::shared_ptr<const View> table_view(const std::string& resource);
    Job* find_job(const Request& request);
    std::string job_json(const Job& job) const;

    SimulatorOptions options_;
    Tokens tokens_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool ending_ = false;
    std::map<std::string, std::shared_ptr<const Table>> tables_;
    std::map<std::string, std::shared_ptr<const View>> views_;
    std::map<std::string, std::shared_ptr<const std::string>> slices_;
    std::map<std::string, std::unique_ptr<Job>> jobs_;
    std::vector<Fault> faults_;
    std::map<std::string, int> counts_;
    std::vector<Seen> seen_;
    int next_job_ = 0;
    std::unique_ptr<Storage, void (*)(Storage*)> storage_;
    std::unique_ptr<Listener> listener_;  // last: its threads use all of the above, as do those of storage_
};

}  // namespace headrace::support::bigquery
