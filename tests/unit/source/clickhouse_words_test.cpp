// What the connector says and understands outside of data: options, requests, error texts.
#include "base/error.hpp"
#include "source/clickhouse/clickhouse.hpp"
#include "source/clickhouse/config.hpp"
#include "source/clickhouse/exception.hpp"
#include "source/clickhouse/request.hpp"

#include <gtest/gtest.h>

namespace headrace::source::clickhouse {
namespace {

pipeline::Part part_of(std::string query = "SELECT 1") {
    pipeline::Part part;
    part.type = "clickhouse";
    part.options.values["query"] = std::move(query);
    return part;
}

pipeline::Credential credential_for(std::string url, std::vector<std::string> hosts) {
    pipeline::Credential out;
    out.name = "ch";
    out.kind = "clickhouse";
    out.settings = {{"url", std::move(url)}, {"user", "etl"}, {"database", "shop"}};
    out.secret = Secret("sesame");
    out.allowed_hosts = std::move(hosts);
    return out;
}

std::string refusal(const pipeline::Part& part, const pipeline::Credential& credential) {
    try {
        make_config(part, credential);
        return "";
    } catch (const Error& error) {
        return error.code();
    }
}

TEST(ClickHouseConfig, HostsAreChecked) {
    const auto part = part_of();
    EXPECT_EQ(refusal(part, credential_for("https://ch.example:8443", {"ch.example"})), "");
    EXPECT_EQ(refusal(part, credential_for("https://CH.example", {"ch.example:8443"})), "");
    EXPECT_EQ(refusal(part, credential_for("http://ch.example", {"ch.example:8443"})), "credential.host_denied");
    EXPECT_EQ(refusal(part, credential_for("http://evil.example", {"ch.example"})), "credential.host_denied");
    EXPECT_EQ(refusal(part, credential_for("http://ch.example", {})), "credential.host_denied");
    EXPECT_EQ(refusal(part, credential_for("http://u:p@ch.example", {"ch.example"})), "config.invalid");
    EXPECT_EQ(refusal(part, credential_for("ftp://ch.example", {"ch.example"})), "config.invalid");
    EXPECT_EQ(refusal(part, credential_for("http://ch.example/?user=x", {"ch.example"})), "config.invalid");
    EXPECT_EQ(
        make_config(part, credential_for("http://ch.example/proxy/", {"ch.example"})).base_url,
        "http://ch.example:8123/proxy/"
    );
}

TEST(ClickHouseConfig, OptionsAreChecked) {
    const auto credential = credential_for("http://ch", {"ch"});
    EXPECT_EQ(refusal(part_of(" ;\n"), credential), "pipeline.invalid");
    EXPECT_EQ(make_config(part_of("SELECT 1 ;\n "), credential).query, "SELECT 1");
    auto part = part_of();
    part.options.lists["settings"] = {"result_overflow_mode", "break"};
    EXPECT_EQ(refusal(part, credential), "pipeline.invalid");
    part.options.lists["settings"] = {"wait_end_of_query", "0"};
    EXPECT_EQ(refusal(part, credential), "pipeline.invalid");
    part.options.lists["settings"] = {"max_threads", "2", "max_block_size", "5"};
    const auto config = make_config(part, credential);
    const auto settings = wanted_settings(config, Deadline::in(std::chrono::seconds(90)), 26);
    std::map<std::string, std::string> by_name(settings.begin(), settings.end());
    EXPECT_EQ(by_name.size(), settings.size());
    EXPECT_EQ(by_name["max_block_size"], "5");
    EXPECT_EQ(by_name["max_threads"], "2");
    EXPECT_EQ(by_name["max_execution_time"], "90");
    EXPECT_EQ(by_name["result_overflow_mode"], "throw");
    EXPECT_EQ(by_name.count("read_overflow_mode_leaf"), 1U);
    EXPECT_EQ(wanted_settings(config, Deadline::never(), 18).size(), settings.size() - 2);
    part = part_of();
    part.options.values["max_block_bytes"] = "1";
    EXPECT_EQ(refusal(part, credential), "pipeline.invalid");
}

TEST(ClickHouseRequest, SecretsStayInHeaders) {
    const auto config = make_config(part_of("SELECT 'a&b'"), credential_for("http://ch", {"ch"}));
    const auto request =
        make_request(config, {config.query, "id-1", {{"max_threads", "1 2"}}, "Native"}, Deadline::never());
    EXPECT_EQ(request.url, "http://ch:8123/?default_format=Native&database=shop&query_id=id-1&max_threads=1%202");
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.body, "SELECT 'a&b'");
    bool found = false;
    for (const auto& [name, value] : request.headers) {
        found = found || (name == "X-ClickHouse-Key" && value == "sesame");
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(kill_sql("a'b\\"), "KILL QUERY WHERE query_id = 'a\\'b\\\\' ASYNC");
    EXPECT_EQ(parse_tsv("a\\tb\tc\nd\t\n"), (std::vector<std::vector<std::string>>{{"a\tb", "c"}, {"d", ""}}));
    EXPECT_TRUE(parse_tsv("").empty());
}

TEST(ClickHouseRequest, ParametersTravelEscaped) {
    auto part = part_of("SELECT {a:String}, {b:UInt64}");
    part.options.lists["parameters"] = {"a", "x\ty\\z\n' & Київ", "b", "18446744073709551615"};
    const auto config = make_config(part, credential_for("http://ch", {"ch"}));
    Ask ask{config.query, "", {}, "Native"};
    EXPECT_EQ(make_request(config, ask, Deadline::never()).url.find("param_"), std::string::npos);
    ask.query_parameters = true;
    const auto url = make_request(config, ask, Deadline::never()).url;
    EXPECT_NE(
        url.find("&param_a=x%5Cty%5C%5Cz%5Cn%27%20%26%20%D0%9A%D0%B8%D1%97%D0%B2&param_b=18446744073709551615"),
        std::string::npos
    ) << url;
    part.options.lists["parameters"] = {"a b", "1"};
    EXPECT_THROW(make_config(part, credential_for("http://ch", {"ch"})), Error);
}

TEST(ClickHouseException, BothStyles) {
    auto e = parse_exception(
        "Code: 60, e.displayText() = DB::Exception: Table default.nope doesn't exist., e.what() = DB::Exception\n"
    );
    EXPECT_EQ(e.code, 60);
    EXPECT_EQ(e.message, "Table default.nope doesn't exist.");
    e = parse_exception(
        "Code: 60. DB::Exception: Unknown table 'nope'. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))"
    );
    EXPECT_EQ(e.code, 60);
    EXPECT_EQ(e.message, "Unknown table 'nope'. (UNKNOWN_TABLE)");
    e = parse_exception("<html>502 Bad Gateway</html>");
    EXPECT_EQ(e.code, 0);
    EXPECT_LT(parse_exception("Code: 62. DB::Exception: " + std::string(100'000, 'x')).message.size(), 700U);
}

TEST(ClickHouseException, KindsAndCodes) {
    const std::tuple<int, bool, const char*, ErrorKind> table[] = {
        {60, false, "source.query", ErrorKind::permanent},
        {62, false, "source.query", ErrorKind::permanent},
        {193, false, "source.auth", ErrorKind::unauthorized},
        {516, false, "source.auth", ErrorKind::unauthorized},
        {159, false, "source.timeout", ErrorKind::transient},
        {159, true, "source.timeout", ErrorKind::transient},
        {241, false, "source.unavailable", ErrorKind::transient},
        {394, false, "source.incomplete", ErrorKind::transient},
        {395, true, "source.incomplete", ErrorKind::transient},
        {395, false, "source.query", ErrorKind::permanent}};
    for (const auto& [code, late, expected, kind] : table) {
        const auto error = to_error({code, "x"}, 500, late);
        EXPECT_EQ(error.code(), expected) << code;
        EXPECT_EQ(error.kind(), kind) << code;
    }
    EXPECT_EQ(to_error({0, ""}, 401, false).code(), "source.auth");
    EXPECT_EQ(to_error({0, ""}, 503, false).kind(), ErrorKind::transient);
    EXPECT_EQ(to_error({0, ""}, 404, false).kind(), ErrorKind::permanent);
}

TEST(ClickHouseException, LateWordsAtTheEndOnly) {
    const std::string old_text =
        "Code: 159, e.displayText() = DB::Exception: Timeout exceeded, e.what() = DB::Exception";
    EXPECT_EQ(find_late_exception("binary\0data" + old_text + "\n", "")->code, 159);
    EXPECT_FALSE(find_late_exception(old_text + std::string(500, 'x'), ""));  // data that looks like one
    EXPECT_FALSE(find_late_exception("Code: 159 is in the text", ""));
    EXPECT_EQ(find_late_exception("rows__exception__\r\nCode: 241. DB::Exception: Memory limit", "")->code, 241);
    EXPECT_FALSE(find_late_exception("rows__exception__ in a text", ""));
    const std::string own_tag = "abcdefghijklmnop";
    const std::string tagged = "\r\n__exception__\r\n" + own_tag +
                               "\r\nCode: 395. DB::Exception: no. (X) (version 26.1)\n47 " + own_tag +
                               "\r\n__exception__\r\n";
    EXPECT_EQ(find_late_exception("rows" + tagged, own_tag)->message, "no. (X)");
    EXPECT_EQ(find_late_exception("rows" + tagged.substr(0, 60), own_tag)->code, 395);  // cut behind the code
    EXPECT_FALSE(find_late_exception("rows" + tagged, "ponmlkjihgfedcba"));             // another's tag is data
    EXPECT_FALSE(find_late_exception("", own_tag));
}

TEST(ClickHouseType, IsDescribed) {
    const auto described = type();
    EXPECT_EQ(described.name, "clickhouse");
    EXPECT_TRUE(described.needs_credential);
    EXPECT_EQ(described.options.front().name, "query");
}

}  // namespace
}  // namespace headrace::source::clickhouse
