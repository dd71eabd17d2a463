// How fast pages of an HTTP API become columns: 500 contacts of Yespo, 17 columns, in pieces as a socket gives them.
// The peer is simdjson's DOM, which builds the document and takes nothing out of it.
#include "source/http/page.hpp"
#include "source/yespo/yespo.hpp"
#include "support/yespo/contacts.hpp"

#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <string>

namespace {

using namespace headrace;

constexpr std::uint32_t contacts = 500;

std::string contacts_text() {
    std::string out = "[";
    for (std::uint32_t row = 0; row < contacts; ++row) {
        out += row == 0 ? "" : ",";
        support::yespo::append_contact(out, row);
    }
    return out + "]";
}

source::http::Config contacts_config() {
    pipeline::Part part;
    part.type = "yespo";
    part.options.values = {
        {"group", "1"},
        {"backoff", "1"},
        {"max_wait", "1"},
        {"wait_budget", "1"},
        {"request_timeout", "1000"},
        {"max_row_bytes", "1048576"},
        {"max_page_bytes", "1048576"},
        {"max_pages", "1"},
        {"max_rows", "1"},
        {"retries", "1"}};
    pipeline::Credential credential;
    credential.kind = "http";
    credential.settings = {{"url", "https://yespo.io"}, {"user", "u"}};
    credential.secret = Secret("k");
    credential.allowed_hosts = {"yespo.io"};
    return source::yespo::make_config(part, credential);
}

void count_contacts(benchmark::State& state, const std::string& text) {
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * contacts));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void read_contacts(benchmark::State& state, bool append) {
    const auto text = contacts_text();
    const auto plan = contacts_config();
    source::http::RowDecoder decoder(plan.columns, plan.single_as_list, plan.key);
    source::http::PageReader reader(decoder, plan.rows, plan.single_as_list, plan.bounds);
    data::Batch batch(source::http::schema_of(plan.columns));
    for (auto _ : state) {
        std::string_view rest = text;
        reader.begin([&] {
            const auto piece = rest.substr(0, 16 * 1024);
            rest.remove_prefix(piece.size());
            return piece;
        });
        while (reader.next()) {
            if (append) {
                decoder.append(batch);
            }
        }
        batch.clear();
    }
    count_contacts(state, text);
}

void http_scan_rows(benchmark::State& state) {
    read_contacts(state, false);
}

void http_decode_rows(benchmark::State& state) {
    read_contacts(state, true);
}

void http_simdjson_dom(benchmark::State& state) {
    const simdjson::padded_string text(contacts_text());
    simdjson::dom::parser parser;
    for (auto _ : state) {
        simdjson::dom::array list;
        if (parser.parse(text).get(list) != simdjson::SUCCESS || list.size() != contacts) {
            state.SkipWithError("simdjson refuses the page");
        }
    }
    count_contacts(state, contacts_text());
}

BENCHMARK(http_scan_rows);
BENCHMARK(http_decode_rows);
BENCHMARK(http_simdjson_dom);

}  // namespace
