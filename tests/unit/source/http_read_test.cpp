// The generic HTTP source against a server that the test writes: paging of every kind, logins, redirects, waits.
#include "base/encoding.hpp"
#include "base/error.hpp"
#include "data/json.hpp"
#include "net/egress.hpp"
#include "source/http/http.hpp"
#include "support/bigquery/wire.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace headrace::source::http {
namespace {

using support::bigquery::Damage;
using support::bigquery::Listener;
using support::bigquery::Reply;
using support::bigquery::Request;

Reply json(std::string body, int status = 200) {
    Reply out;
    out.status = status;
    out.headers = {{"Content-Type", "application/json"}};
    out.add(std::move(body));
    return out;
}

struct HttpWish {
    std::map<std::string, std::string> values = {};
    std::map<std::string, std::vector<std::string>> lists = {};
    std::map<std::string, std::string> settings = {};  // of a credential; none: no credential
    std::string allow = "127.0.0.1";
    StopToken stop = {};
    Deadline deadline = Deadline::in(std::chrono::seconds(30));
};

class HttpRead : public testing::Test {
protected:
    // The answer of the server: (request, its number from 1).
    void serve(std::function<Reply(const Request&, int)> answer) {
        listener_ = std::make_unique<Listener>([this, answer = std::move(answer)](const Request& request) {
            int number = 0;
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
                number = static_cast<int>(requests_.size());
            }
            return answer(request, number);
        });
    }

    std::string url() const { return fmt::format("http://127.0.0.1:{}", listener_->port()); }

    // Reads it all: the rows as JSON, or the code of the error.
    std::string read(HttpWish wish = {}) {
        pipeline::Part part;
        part.type = "http";
        part.options.values = {
            {"url", url() + "/items"},
            {"retries", "2"},
            {"backoff", "1"},
            {"max_wait", "50"},
            {"wait_budget", "1000"},
            {"request_timeout", "400"},
            {"max_row_bytes", "65536"},
            {"max_page_bytes", "1000000"},
            {"max_pages", "50"},
            {"max_rows", "1000"},
            {"compress", "true"}};
        part.options.lists = {{"columns", {"id", "int64!", "s", "string"}}};
        for (const auto& [name, value] : wish.values) {
            part.options.values[name] = value;
        }
        for (const auto& [name, value] : wish.lists) {
            part.options.lists[name] = value;
        }
        pipeline::Credential credential;
        if (!wish.settings.empty()) {
            credential.name = "api";
            credential.secret = Secret("s3cret-canary");
            credential.settings = {wish.settings.begin(), wish.settings.end()};
            credential.allowed_hosts = {"127.0.0.1"};
            if (wish.settings.count("allowed") != 0) {
                credential.allowed_hosts = {wish.settings.at("allowed")};
            }
        }
        rows_ = 0;
        log_.clear();
        message_.clear();
        try {
            const auto egress = net::Egress::parse(wish.allow);
            const auto source = type([egress](const sockaddr* address) { return egress.allows(address); }, make_paces())
                                    .make(part, credential);
            source->connect({wish.stop, wish.deadline, "run", "attempt", [&](std::string_view, std::string line) {
                                 log_ += line + "\n";
                             }});
            const auto schema = source->query();
            const data::JsonEncoder encoder(schema);
            data::Buffer<char> out;
            data::Batch batch(schema);
            while (source->next(batch)) {
                encoder.append_objects(out, batch, 0, batch.rows());
                rows_ += batch.rows();
                batch.reset(schema);
            }
            proof_ = source->completeness().proof;
            EXPECT_EQ(source->completeness().rows, rows_);
            return {out.data(), out.size()};
        } catch (const Error& error) {
            message_ = error.message();
            EXPECT_EQ(message_.find("canary"), std::string::npos) << message_;
            return error.code();
        }
    }

    const Request& request(std::size_t i) const { return requests_.at(i); }

    std::mutex mutex_;
    std::vector<Request> requests_;
    std::uint64_t rows_ = 0;
    std::string log_, message_, proof_;
    std::unique_ptr<Listener> listener_;  // last: its threads use all of the above
};

constexpr const char* one_row = R"({"id":1,"s":null})";

TEST_F(HttpRead, OneAnswer) {
    serve([](const Request&, int) { return json(R"({"n":2,"data":[{"id":1,"s":"a"},{"id":2}]})"); });
    EXPECT_EQ(
        read({{{"rows", "/data"}, {"total", "/n"}}, {{"query", {"q", "a b&c"}}, {"headers", {"X-Tenant", "7"}}}}),
        R"({"id":1,"s":"a"},{"id":2,"s":null})"
    );
    EXPECT_EQ(request(0).query.at("q"), "a b&c");
    EXPECT_EQ(request(0).headers.at("x-tenant"), "7");
    EXPECT_EQ(request(0).headers.at("accept"), "application/json");
    EXPECT_EQ(request(0).headers.count("authorization"), 0);
    EXPECT_NE(proof_.find("2 rows are all of the total"), std::string::npos) << proof_;
    EXPECT_EQ(read({{{"rows", "/data"}, {"total", "/missing"}}}), "source.incomplete");
}

TEST_F(HttpRead, PagesOffsetsCursorsAndLinks) {
    serve([this](const Request& r, int) {
        const auto at = [&](const char* name) { return r.query.count(name) != 0 ? r.query.at(name) : std::string(); };
        const auto rows = [](int from, int to) {
            std::string out = "[";
            for (int i = from; i < to; ++i) {
                out += fmt::format("{}{{\"id\":{}}}", i == from ? "" : ",", i);
            }
            return out + "]";
        };
        if (r.path == "/page") {
            const int page = std::stoi(at("p"));
            return json(rows(10 * page, 10 * page + (page > 3 ? 0 : page == 3 ? 4 : 10)));
        }
        if (r.path == "/offset") {
            const int from = std::stoi(at("offset"));
            return json(rows(from, std::min(from + std::stoi(at("limit")), 24)));
        }
        if (r.path == "/cursor") {
            const auto cursor = r.body.substr(r.body.find(':') + 1);
            const int page = cursor == "null}" ? 0 : cursor[1] - 'a' + 1;
            return json(fmt::format(
                R"({{"next":{},"d":{{"r":{}}}}})",
                page == 2   ? "null"
                : page == 1 ? "\"b\""
                            : "\"a\"",
                rows(8 * page, 8 * page + 8)
            ));
        }
        const int page = at("c").empty() ? 0 : std::stoi(at("c"));
        auto reply = json(rows(12 * page, 12 * page + 12));
        reply.headers.emplace_back(
            "Link", page == 1 ? "</link?c=0>; rel=\"first\"" : fmt::format("<{}/link?c=1>; rel=\"next\"", url())
        );
        return reply;
    });
    std::string expected;
    for (int i = 0; i < 24; ++i) {
        expected += fmt::format("{}{{\"id\":{}}}", i == 0 ? "" : ",", i);
    }
    const std::map<std::string, std::vector<std::string>> only_id = {{"columns", {"id", "int64!"}}};
    EXPECT_EQ(
        read({{{"url", url() + "/page"}, {"paging", "page"}, {"position", "p"}, {"first", "1"}}, only_id})
            .substr(0, 30),
        R"({"id":10},{"id":11},{"id":12},)"
    );
    EXPECT_EQ(rows_, 24);
    EXPECT_EQ(
        read({{{"url", url() + "/offset"}, {"paging", "offset"}, {"size", "limit"}, {"page_rows", "7"}}, only_id}),
        expected
    ) << message_;
    EXPECT_EQ(
        read(
            {{{"url", url() + "/offset"},
              {"paging", "offset"},
              {"size", "limit"},
              {"page_rows", "7"},
              {"unique_by", "id"},
              {"overlap", "3"}},
             only_id}
        ),
        expected
    ) << message_;
    EXPECT_NE(proof_.find("tied to the one before"), std::string::npos) << proof_;
    EXPECT_EQ(
        read(
            {{{"url", url() + "/cursor"},
              {"paging", "cursor"},
              {"cursor", "/next"},
              {"rows", "/d/r"},
              {"method", "POST"},
              {"body", R"({"cursor":@cursor})"}},
             only_id}
        ),
        expected
    ) << message_;
    EXPECT_EQ(read({{{"url", url() + "/link"}, {"paging", "link"}}, only_id}), expected) << message_;
    EXPECT_EQ(
        read(
            {{{"url", url() + "/page"}, {"paging", "page"}, {"position", "p"}, {"first", "1"}, {"max_pages", "3"}},
             only_id}
        ),
        "source.limit"
    );
    EXPECT_EQ(
        read(
            {{{"url", url() + "/page"}, {"paging", "page"}, {"position", "p"}, {"first", "1"}, {"max_rows", "23"}},
             only_id}
        ),
        "source.limit"
    );
}

TEST_F(HttpRead, Logins) {
    serve([](const Request&, int) { return json(std::string("[") + one_row + "]"); });
    EXPECT_EQ(read({{}, {}, {{"auth", "basic"}, {"user", "u"}}}), one_row);
    EXPECT_EQ(request(0).headers.at("authorization"), "Basic " + base64_encode("u:s3cret-canary"));
    EXPECT_EQ(read({{}, {}, {{"auth", "bearer"}}}), one_row);
    EXPECT_EQ(request(1).headers.at("authorization"), "Bearer s3cret-canary");
    EXPECT_EQ(read({{}, {}, {{"auth", "header"}, {"header", "X-Api-Key"}}}), one_row);
    EXPECT_EQ(request(2).headers.at("x-api-key"), "s3cret-canary");
    EXPECT_EQ(read({{}, {}, {{"auth", "header"}}}), "config.invalid");
    EXPECT_EQ(read({{}, {}, {{"auth", "digest"}}}), "config.invalid");
    EXPECT_EQ(read({{}, {}, {{"auth", "basic"}, {"allowed", "127.0.0.1:1"}}}), "credential.host_denied");
    EXPECT_EQ(
        read({{{"url", "http://api.example/x"}}, {}, {{"auth", "basic"}, {"allowed", "api.example"}}}), "config.invalid"
    );
    EXPECT_EQ(requests_.size(), 3) << "nothing was sent";
}

TEST_F(HttpRead, PrivateAddressesAreRefusedUnlessAllowed) {
    serve([](const Request&, int) { return json("[]"); });
    EXPECT_EQ(read({{}, {}, {}, ""}), "http.egress");
    EXPECT_EQ(
        read({{{"url", fmt::format("http://localhost:{}/", listener_->port())}}, {}, {}, "10.0.0.0/8"}), "http.egress"
    ) << "the address counts, not the name";
    EXPECT_EQ(read({{{"url", fmt::format("http://2130706433:{}/", listener_->port())}}, {}, {}, ""}), "http.egress");
    EXPECT_TRUE(requests_.empty());
}

TEST_F(HttpRead, Redirects) {
    serve([this](const Request& r, int) {
        if (r.path == "/here") {
            return json(std::string("[") + one_row + "]");
        }
        Reply reply = json("", 302);
        reply.headers.emplace_back(
            "Location",
            r.path == "/same"   ? "/here"
            : r.path == "/loop" ? "/loop"
                                : fmt::format("http://localhost:{}/here", listener_->port())
        );
        return reply;
    });
    const auto at = [&](const char* path, const char* follow, std::map<std::string, std::string> settings = {}) {
        return read({{{"url", url() + path}, {"follow_redirects", follow}}, {}, std::move(settings)});
    };
    EXPECT_EQ(at("/same", "false"), "source.redirect");
    EXPECT_EQ(at("/same", "true"), one_row);
    EXPECT_EQ(at("/same", "true", {{"auth", "bearer"}}), one_row);
    EXPECT_EQ(at("/loop", "true"), "source.redirect");
    requests_.clear();
    EXPECT_EQ(at("/other", "true", {{"auth", "bearer"}}), "source.redirect");
    EXPECT_EQ(requests_.size(), 1) << "the credential went no further";
    EXPECT_NE(message_.find("where the credential may not follow"), std::string::npos) << message_;
}

TEST_F(HttpRead, LinksToAnotherHostGetNoCredential) {
    serve([](const Request&, int) {
        auto reply = json(std::string("[") + one_row + "]");
        reply.headers.emplace_back("Link", "<https://elsewhere.example/2>; rel=next");
        return reply;
    });
    EXPECT_EQ(read({{{"paging", "link"}}, {}, {{"auth", "bearer"}}}), "credential.host_denied");
}

TEST_F(HttpRead, WaitsAndSaysSo) {
    const auto refuse = [](int times, int status, std::string retry_after) {
        return [=](const Request&, int number) {
            if (number > times) {
                return json(std::string("[") + one_row + "]");
            }
            Reply reply;
            reply.status = status;
            reply.headers = {{"Content-Type", "text/plain"}};
            if (!retry_after.empty()) {
                reply.headers.emplace_back("Retry-After", retry_after);
            }
            reply.add("not now");
            return reply;
        };
    };
    const auto again = [&](auto answer) {
        requests_.clear();
        serve(answer);
        return read();
    };
    for (const auto* wait :
         {"0",
          "1",
          "1000000000",
          "99999999999999999999",
          "-5",
          "soon",
          "Sun, 06 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 2094 08:49:37 GMT",
          ""}) {
        EXPECT_EQ(again(refuse(2, 429, wait)), one_row) << wait << message_;
        EXPECT_NE(log_.find("HTTP 429 for the rows: not now; waiting"), std::string::npos) << log_;
    }
    EXPECT_EQ(again(refuse(2, 503, "1000000000")), one_row);
    EXPECT_NE(log_.find("asks for 1000000000 s, which is more than `max_wait`"), std::string::npos) << log_;
    EXPECT_EQ(again(refuse(3, 429, "")), "source.rate_limited");
    EXPECT_EQ(requests_.size(), 3);
    EXPECT_EQ(again(refuse(3, 502, "")), "source.unavailable");
    EXPECT_EQ(again(refuse(1, 400, "")), "source.query");
    EXPECT_EQ(again(refuse(1, 401, "")), "source.auth");
    requests_.clear();
    serve(refuse(2, 429, "1"));
    EXPECT_EQ(read({{{"wait_budget", "60"}}}), "source.rate_limited");
    EXPECT_NE(message_.find("`wait_budget` is spent"), std::string::npos) << message_;
    requests_.clear();
    EXPECT_EQ(
        read({{{"max_wait", "60000"}}, {}, {}, "127.0.0.1", {}, Deadline::in(std::chrono::milliseconds(500))}),
        "source.rate_limited"
    ) << "the wait would be longer than the attempt";
}

TEST_F(HttpRead, StopEndsAWaitAtOnce) {
    StopSource stop;
    serve([&](const Request&, int) {
        stop.request_stop("test");
        Reply reply = json("{}", 429);
        reply.headers.emplace_back("Retry-After", "60");
        return reply;
    });
    const auto before = Deadline::Clock::now();
    EXPECT_EQ(
        read({{{"max_wait", "60000"}, {"wait_budget", "600000"}}, {}, {}, "127.0.0.1", stop.token()}), "net.cancelled"
    );
    EXPECT_LT(Deadline::Clock::now() - before, std::chrono::seconds(5));
}

TEST_F(HttpRead, ABrokenPageIsReadAgainAndMustBeTheSame) {
    std::string body = "[";
    for (int i = 0; i < 100; ++i) {
        body += fmt::format(R"({}{{"id":{},"s":"{}"}})", i == 0 ? "" : ",", i, std::string(300, 'x'));
    }
    body += "]";
    const auto broken = [&](std::string second) {
        return [=](const Request&, int number) {
            auto reply = json(number == 1 ? body : second);
            reply.damage = number == 1 ? Damage::cut : Damage::none;
            reply.at = 20'000;
            return reply;
        };
    };
    serve(broken(body));
    read({{{"unique_by", "id"}, {"paging", "none"}}});
    EXPECT_EQ(rows_, 100) << message_;
    requests_.clear();
    serve(broken(body));
    read();
    EXPECT_EQ(rows_, 100) << message_;
    EXPECT_NE(log_.find("broke"), std::string::npos) << log_;
    requests_.clear();
    auto other = body;
    other[10] = '7';
    serve(broken(other));
    EXPECT_EQ(read(), "source.incomplete");
    EXPECT_NE(message_.find("other rows"), std::string::npos) << message_;
    requests_.clear();
    serve(broken("[]"));
    EXPECT_EQ(read(), "source.incomplete");
}

// Three pages of three rows and an empty one.
Reply small_page(const Request& request) {
    const int page = std::stoi(request.query.at("page"));
    return json(
        page > 3 ? "[]" : fmt::format(R"([{{"id":{}}},{{"id":{}}},{{"id":{}}}])", 3 * page, 3 * page + 1, 3 * page + 2)
    );
}

std::vector<std::string> pages_of(const std::vector<Request>& requests) {
    std::vector<std::string> out;
    for (const auto& request : requests) {
        out.push_back(request.query.at("page"));
    }
    return out;
}

TEST_F(HttpRead, TheNextPageIsAskedForWhileOneIsRead) {
    const HttpWish pages{{{"paging", "page"}, {"position", "page"}, {"first", "1"}}};
    serve([](const Request& request, int number) {
        auto reply = small_page(request);
        reply.damage = number == 1 ? Damage::hang : Damage::none;  // behind its first row
        reply.at = 12;
        return reply;
    });
    read(pages);
    EXPECT_EQ(rows_, 9) << message_;
    EXPECT_EQ(pages_of(requests_), (std::vector<std::string>{"1", "2", "1", "2", "3", "4"}));

    requests_.clear();
    serve([](const Request& request, int) {
        auto reply = small_page(request);
        reply.damage = Damage::hang;
        reply.at = 12;
        return reply;
    });
    auto slow = pages;
    slow.values["rate"] = "1/h";  // it is not its turn yet
    slow.values["retries"] = "0";
    EXPECT_EQ(read(slow), "source.timeout");
    EXPECT_EQ(pages_of(requests_), (std::vector<std::string>{"1"}));
}

TEST_F(HttpRead, APageThatIsRefusedAheadIsAskedForAgain) {
    serve([](const Request& request, int number) {
        if (number != 2) {
            return small_page(request);
        }
        Reply reply;
        reply.status = 429;
        reply.headers = {{"Retry-After", "0"}};
        return reply;
    });
    read({{{"paging", "page"}, {"position", "page"}, {"first", "1"}}});
    EXPECT_EQ(rows_, 9) << message_;
    EXPECT_NE(log_.find("HTTP 429 for page 2"), std::string::npos) << log_;
    EXPECT_NE(log_.find("from here on one page at a time"), std::string::npos) << log_;
    EXPECT_EQ(pages_of(requests_), (std::vector<std::string>{"1", "2", "2", "3", "4"}));
}

TEST_F(HttpRead, WrongGuessesEnd) {
    serve([](const Request& request, int) {  // always a row more than before: 5, 6, 7, …, 15
        const int from = std::stoi(request.query.at("offset"));
        int end = 0;
        for (int rows = 5; end <= from; ++rows) {
            end += rows;
        }
        std::string out;
        for (int id = from; id < std::min(end, 110); ++id) {
            out += fmt::format(R"({}{{"id":{},"s":"{}"}})", out.empty() ? "" : ",", id, std::string(60'000, 'x'));
        }
        return json("[" + out + "]");
    });
    read({{{"paging", "offset"}, {"page_rows", "1000"}, {"size", "limit"}, {"first", "0"}}});
    EXPECT_EQ(rows_, 110) << message_;
    listener_.reset();  // its threads may still see a request that nobody waits for
    EXPECT_GE(requests_.size(), 11U + 2U);
    EXPECT_LE(requests_.size(), 11U + 2U + 2U) << "pages, empty ones, wrong guesses";
}

}  // namespace
}  // namespace headrace::source::http
