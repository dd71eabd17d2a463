#include "api/input.hpp"

#include "api/cursor.hpp"
#include "api/event_id.hpp"
#include "api/event_tail.hpp"
#include "api/idempotency.hpp"
#include "api/json_writer.hpp"

#include <gtest/gtest.h>

namespace headrace::api {
namespace {

net::Request with_body(std::string body) {
    net::Request out;
    out.body = std::move(body);
    return out;
}

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

TEST(Body, says_where_the_json_breaks) {
    const auto why = refusal([] { body_object(with_body("{\n  \"a\": 1,\n  oops\n}"), false); });
    EXPECT_NE(why.find("api.bad_request"), std::string::npos) << why;
    EXPECT_NE(why.find("line 3"), std::string::npos) << why;
    for (const auto* text :
         {"", " ", "{", "{}x", "[]", "\"a\"", "{\"a\":1,}", "{'a':1}", "{\"a\":\"\xff\"}", "nul", "{\"a\":01}"}) {
        EXPECT_NE(refusal([&] { body_object(with_body(text), false); }).find("api.bad_request"), std::string::npos)
            << text;
    }
    EXPECT_TRUE(body_object(with_body(""), true).empty());
}

TEST(Body, refuses_deep_nesting) {
    const auto nested = [](int levels) {
        return "{\"a\":" + std::string(static_cast<std::size_t>(levels - 1), '[') +
               std::string(static_cast<std::size_t>(levels - 1), ']') + "}";
    };
    EXPECT_EQ(refusal([&] { body_object(with_body(nested(32)), false); }), "");
    EXPECT_NE(refusal([&] { body_object(with_body(nested(33)), false); }).find("32 levels"), std::string::npos);
    EXPECT_NE(
        refusal([&] { body_object(with_body("{\"a\":" + std::string(500'000, '[')), false); }).find("api.bad_request"),
        std::string::npos
    );
}

TEST(Members, gathers_all_that_is_wrong) {
    const auto object = body_object(with_body(R"({"flag":1,"text":"\u0000","long":"ääää","a/b":2})"), false);
    Members members(object);
    members.boolean("flag");
    members.text("text", 5);
    members.text("long", 3);
    const auto errors = members.errors();
    ASSERT_EQ(errors.size(), 4u);
    EXPECT_EQ(errors[0].pointer, "#/flag");
    EXPECT_EQ(errors[2].detail, "is longer than 3 characters");
    EXPECT_EQ(errors[3].pointer, "#/a~1b");
    EXPECT_NE(refusal([&] { members.done(); }).find("api.invalid"), std::string::npos);
}

TEST(Query, checks_numbers_times_and_words) {
    net::Request request;
    request.query = {
        {"n", "12"},
        {"big", "99999999999999999999"},
        {"x", "1e3"},
        {"t", "2026-11-21T18:00:00Z"},
        {"w", "a,b,a"},
        {"e", "a,"}};
    constexpr std::string_view words[] = {"a", "b"};
    EXPECT_EQ(query_integer(request, "n", 1, 20), 12);
    EXPECT_EQ(query_integer(request, "absent", 1, 20), std::nullopt);
    EXPECT_NE(refusal([&] { query_integer(request, "n", 1, 11); }), "");
    EXPECT_NE(refusal([&] { query_integer(request, "big", 1, 11); }), "");
    EXPECT_NE(refusal([&] { query_integer(request, "x", 1, 5000); }), "");
    EXPECT_TRUE(query_time(request, "t"));
    EXPECT_NE(refusal([&] { query_time(request, "n"); }), "");
    EXPECT_EQ(query_words(request, "w", words), (std::vector<std::string>{"a", "b"}));
    EXPECT_NE(refusal([&] { query_words(request, "e", words); }), "");
    EXPECT_NE(refusal([&] { query_words(request, "n", words); }), "");
}

TEST(IdempotencyKey, comes_quoted_or_bare) {
    const auto key = [](std::initializer_list<const char*> values) {
        net::Request request;
        for (const auto* value : values) {
            request.headers.add("Idempotency-Key", value);
        }
        return idempotency_key(request);
    };
    EXPECT_EQ(key({"8e03978e-40d5-43dd-bc93-6894a57f9324"}), "8e03978e-40d5-43dd-bc93-6894a57f9324");
    EXPECT_EQ(key({"\"8e03978e-40d5-43dd-bc93-6894a57f9324\""}), "8e03978e-40d5-43dd-bc93-6894a57f9324");
    EXPECT_NE(refusal([&] { key({}); }), "");
    EXPECT_NE(refusal([&] { key({"short"}); }), "");
    EXPECT_NE(refusal([&] { key({"with blank in it"}); }), "");
    EXPECT_NE(refusal([&] { key({"12345678", "12345679"}); }), "");
    EXPECT_NE(refusal([&] { key({std::string(129, 'a').c_str()}); }), "");
}

TEST(Cursor, belongs_to_its_filters_and_its_key) {
    const CursorCodec codec(Secret("0123456789abcdef0123456789abcdef"));
    const auto text = codec.encode({"2026-11-21 18:00:01.123456+00", "0193-id"}, "state=failed\n");
    const auto back = codec.decode(text, "state=failed\n");
    EXPECT_EQ(back.queued_at, "2026-11-21 18:00:01.123456+00");
    EXPECT_EQ(back.run_id, "0193-id");
    EXPECT_NE(refusal([&] { codec.decode(text, "state=queued\n"); }).find("api.invalid_cursor"), std::string::npos);
    EXPECT_NE(
        refusal([&] { CursorCodec(Secret("another")).decode(text, "state=failed\n"); }).find("api.invalid_cursor"),
        std::string::npos
    );
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto bad = text;
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        EXPECT_NE(refusal([&] { codec.decode(bad, "state=failed\n"); }).find("api.invalid_cursor"), std::string::npos)
            << i;
    }
    EXPECT_NE(refusal([&] { codec.decode("", ""); }), "");
    EXPECT_NE(refusal([&] { codec.decode(".", ""); }), "");
    // Another process with the same secret goes on with it.
    EXPECT_EQ(CursorCodec(Secret("0123456789abcdef0123456789abcdef")).decode(text, "state=failed\n").run_id, "0193-id");
}

TEST(EventId, orders_and_parses) {
    EXPECT_LT(*EventId::parse("9-5"), *EventId::parse("10-0"));
    EXPECT_LT(*EventId::parse("10-2"), *EventId::parse("10-10"));
    EXPECT_EQ(EventId::parse("1795287948075-3")->text(), "1795287948075-3");
    for (const auto* text : {"", "1", "1-", "-1", "a-1", "1-1x", " 1-1", "99999999999999999999-1", "end"}) {
        EXPECT_FALSE(EventId::parse(text)) << text;
    }
}

TEST(StreamState, knows_what_was_lost) {
    StreamState state{.exists = true, .first = {100, 0}, .last = {200, 0}, .has_first = true, .trimmed = true};
    EXPECT_TRUE(state.lost({99, 0}));
    EXPECT_FALSE(state.lost({100, 0}));
    EXPECT_FALSE(state.lost({200, 0}));
    EXPECT_TRUE(state.lost({200, 1}));
    state.trimmed = false;
    EXPECT_FALSE(state.lost({0, 0}));
    EXPECT_FALSE(StreamState{}.lost({0, 0}));
    EXPECT_TRUE(StreamState{}.lost({1, 0}));
}

TEST(EventFormat, makes_one_event_of_several_changes_of_a_run) {
    const std::string id = "01939393-0000-7000-8000-000000000001";
    const std::vector<StreamEntry> entries = {
        {{1, 0}, "run.created", id, "{}"},
        {{2, 0}, "run.state", id, "{}"},
        {{3, 0}, "run.log", id, "{\"l\":1}"},
        {{4, 0}, "run.state", id, "{}"}};
    EXPECT_EQ(runs_of(entries), std::vector<std::string>{id});
    const auto events = format_entries(entries, {{id, "failed", R"({"run":{"state":"failed"},"lastLogSeq":7})"}});
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(events[0].text, "id: 1-0\nevent: run.created\ndata: {\"run\":{\"state\":\"failed\"}}\n\n");
    EXPECT_TRUE(events[0].global);
    EXPECT_FALSE(events[0].single);
    EXPECT_FALSE(events[1].global);  // a log line goes only to the stream of its run
    EXPECT_TRUE(events[1].single);
    EXPECT_EQ(events[2].id, (EventId{4, 0}));
    EXPECT_TRUE(events[2].final);
    EXPECT_TRUE(format_entries(entries, {}).size() == 1) << "a run that retention has removed is not told of";
}

TEST(JsonWriter, puts_commas_and_nulls) {
    JsonWriter json;
    json.begin_object().key("a").begin_array().number(1).text("x\"").null().end().key("b").begin_object().end();
    json.key("c")
        .real(0.5)
        .key("d")
        .real(std::numeric_limits<double>::infinity())
        .key("e")
        .text_or_null(std::nullopt)
        .end();
    EXPECT_EQ(json.str(), R"({"a":[1,"x\"",null],"b":{},"c":0.5,"d":null,"e":null})");
    EXPECT_EQ(to_millis(parse_rfc3339("2026-11-21T18:00:01.102999Z").value()), "2026-11-21T18:00:01.102Z");
}

}  // namespace
}  // namespace headrace::api
