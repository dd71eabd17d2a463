#include "app/demo_data.hpp"

#include "base/error.hpp"
#include "net/http_client.hpp"
#include "support/paths.hpp"
#include "support/servers.hpp"

#include <gtest/gtest.h>

namespace headrace::app {
namespace {

const std::string data_dir = support::source_root().string() + "/node_modules/vega-datasets/data";

std::string answer_to(const std::string& query) {
    auto& server = support::servers().clickhouse();
    net::HttpRequest request;
    request.method = "POST";
    request.url = server.url();
    request.headers = {{"X-ClickHouse-User", "headrace"}, {"X-ClickHouse-Key", server.password().reveal()}};
    request.body = query;
    request.deadline = Deadline::in(std::chrono::seconds(30));
    net::HttpClient client;
    return client.fetch(request, {}).body;
}

std::vector<bool> loaded(const std::vector<DemoTable>& tables) {
    std::vector<bool> result;
    for (const auto& table : tables) {
        result.push_back(table.loaded);
    }
    return result;
}

TEST(DemoData, IsLoadedOnceAndMended) {
    auto& server = support::servers().clickhouse();
    const DemoTarget target{server.url(), "headrace", server.password()};
    EXPECT_EQ(loaded(load_demo_data(target, data_dir, {})), (std::vector<bool>{true, true, true}));
    EXPECT_EQ(answer_to("SELECT count(), sum(count) FROM headrace_demo.flights_airport"), "5366\t7009728\n");
    EXPECT_EQ(
        answer_to("SELECT city, latitude FROM headrace_demo.airports WHERE iata = '00M'"), "Bay Springs\t31.95376472\n"
    );
    EXPECT_EQ(
        answer_to("SELECT count(), min(date), max(date) FROM headrace_demo.flights_20k"),
        "20000\t2001-01-01 00:47:00\t2001-03-31 22:27:00\n"
    );
    EXPECT_EQ(loaded(load_demo_data(target, data_dir, {})), (std::vector<bool>{false, false, false}));
    answer_to("INSERT INTO headrace_demo.airports (iata) VALUES ('XXX')");
    EXPECT_EQ(loaded(load_demo_data(target, data_dir, {})), (std::vector<bool>{false, true, false}));
    EXPECT_EQ(answer_to("SELECT count() FROM headrace_demo.airports"), "3376\n");
}

TEST(DemoData, SaysWhatIsMissing) {
    auto& server = support::servers().clickhouse();
    const auto code_of = [](const DemoTarget& target, const std::string& dir) -> std::string {
        try {
            load_demo_data(target, dir, {});
        } catch (const Error& e) {
            return e.code();
        }
        return "";
    };
    EXPECT_EQ(code_of({server.url(), "headrace", server.password()}, "/no/such/folder"), "dev.data_missing");
    EXPECT_EQ(code_of({server.url(), "reader", server.reader_password()}, data_dir), "dev.server_failed");
}

}  // namespace
}  // namespace headrace::app
