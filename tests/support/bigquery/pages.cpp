// The simulator's pages: rendered once, and changed where a fault says so.
#include "support/bigquery/simulator_parts.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <stdexcept>

namespace headrace::support::bigquery {
namespace {

std::shared_ptr<const std::string> shared(std::string text) {
    return std::make_shared<const std::string>(std::move(text));
}

void replace_once(std::string& text, std::string_view what, std::string_view with) {
    if (const auto at = text.find(what); at != std::string::npos) {
        text.replace(at, what.size(), with);
    }
}

std::string token_of(std::uint64_t from) {
    return fmt::format("r{}==", from);
}

}  // namespace

std::string gzip(std::string_view text) {
    z_stream z{};
    constexpr int with_gzip_head = 16 + MAX_WBITS;
    if (deflateInit2(&z, 1, Z_DEFLATED, with_gzip_head, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::runtime_error("no deflate");
    }
    std::string out(deflateBound(&z, text.size()), '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const int result = ::deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    if (result != Z_STREAM_END) {
        throw std::runtime_error("deflate failed");
    }
    return out;
}

std::shared_ptr<const std::string>
Simulator::slice(const View& view, std::uint64_t from, std::uint64_t count, bool packed) {
    const auto key = fmt::format("{}\n{}\n{}\n{}", view.key, from, count, packed ? "gzip" : "");
    {
        const std::lock_guard lock(mutex_);
        if (const auto it = slices_.find(key); it != slices_.end()) {
            return it->second;
        }
    }
    std::string text;
    if (packed) {
        text = gzip(*slice(view, from, count, false));
    } else {
        for (std::uint64_t row = from; row < from + count; ++row) {
            text += row == from ? "{\"f\":[" : ",{\"f\":[";
            bool first = true;
            for (const auto i : view.columns) {
                text += std::exchange(first, false) ? "{\"v\":" : ",{\"v\":";
                view.table->columns[i].value(text, view.order.empty() ? row : view.order[row]);
                text += '}';
            }
            text += "]}";
        }
    }
    auto made = shared(std::move(text));
    const std::lock_guard lock(mutex_);
    slices_[key] = made;
    return made;
}

namespace {

constexpr std::string_view first_row = "{\"f\":[";

// What a fault makes of the rows' text; empty: nothing.
std::string changed_rows(const Fault& fault, std::string rows) {
    const auto row_end = rows.find("]}");
    if (fault.what == "drop_row") {
        const auto next = rows.find(",{\"f\":[");
        rows.erase(0, next == std::string::npos ? rows.size() : next + 1);
    } else if (fault.what == "double_row") {
        rows = rows.substr(0, row_end + 2) + "," + rows;
    } else if (fault.what == "extra_cell") {
        rows.insert(row_end, R"(,{"v":"more"})");
    } else if (fault.what == "missing_cell") {
        rows.erase(first_row.size(), rows.find("},", first_row.size()) + 2 - first_row.size());
    } else if (fault.what == "value") {  // `text` in place of the first value
        const auto at = rows.find("{\"v\":") + 5;
        rows.replace(at, rows.find('}', at) - at, fault.text);
    } else if (fault.what == "huge_row") {
        const auto at = rows.find("{\"v\":") + 5;
        rows.replace(at, rows.find('}', at) - at, "\"" + std::string(static_cast<std::size_t>(fault.at), 'x') + "\"");
    } else if (fault.what == "blanks") {
        rows.insert(0, std::string(static_cast<std::size_t>(fault.at), ' '));
    } else {
        return {};
    }
    return rows;
}

}  // namespace

Reply Simulator::page(const Request& request, const std::optional<Fault>& fault) {
    std::shared_ptr<const View> view;
    Page out;
    {
        const std::lock_guard lock(mutex_);
        auto* job = find_job(request);
        if (job == nullptr) {
            return error_reply(404, "notFound", "Not found: Job (which location?)");
        }
        if (!job->reason.empty()) {
            return error_reply(400, job->reason, job->message);
        }
        job->state = "DONE";
        view = job->view;
        out.job = job->id;
    }
    std::uint64_t from = 0;
    if (const auto token = request.query.find("pageToken"); token != request.query.end()) {
        from = std::strtoull(token->second.c_str() + 1, nullptr, 10);
        if (token->second != token_of(from) || from > view->rows) {
            return error_reply(400, "invalid", "Invalid page token");
        }
    }
    auto count = std::min(options_.page_rows, view->rows - from);
    if (const auto most = request.query.find("maxResults"); most != request.query.end()) {
        count = std::min<std::uint64_t>(count, std::strtoull(most->second.c_str(), nullptr, 10));
    }
    const auto accepts = request.headers.find("accept-encoding");
    const bool packed = accepts != request.headers.end() && accepts->second.find("gzip") != std::string::npos;
    out.schema = view->schema;
    out.total = fmt::format("\"{}\"", view->rows);
    if (from + count < view->rows) {
        out.token = token_of(from + count);
    }
    if (count > 0) {
        out.rows = slice(*view, from, count, false);
        out.packed = packed && !fault ? slice(*view, from, count, true) : nullptr;
    }
    if (fault) {
        const auto& what = fault->what;
        if (auto rows = out.rows ? changed_rows(*fault, *out.rows) : std::string(); !rows.empty()) {
            out.rows = shared(std::move(rows));
        } else if (what == "repeat_page") {  // the rows of the page before
            const auto before = from < options_.page_rows ? 0 : from - options_.page_rows;
            out.rows = slice(*view, before, count, false);
        } else if (what == "same_token") {
            out.token = token_of(from);
        } else if (what == "first_token") {
            out.token = token_of(options_.page_rows);
        } else if (what == "no_token") {
            out.token.clear();
        } else if (what == "more_token") {
            out.token = token_of(from + count);
        } else if (what == "total") {
            out.total = fault->text;
        } else if (what == "schema") {
            out.schema = fault->text;
        } else if (what == "schema_type") {
            replace_once(out.schema, "INTEGER", "STRING");
        } else if (what == "schema_more") {
            out.schema.insert(1, R"({"name":"surprise","type":"STRING"},)");
        } else if (what == "schema_mode") {
            replace_once(out.schema, "NULLABLE", "REQUIRED");
        } else if (what == "other_job") {
            out.job = "job_of_somebody_else";
        } else if (what == "not_complete") {
            out.complete = false;
        } else if (what == "no_rows") {  // a page with a token alone
            out.rows = nullptr;
            out.token = token_of(from);
        } else if (what == "warning") {
            out.behind = R"(,"errors":[{"reason":"invalid","message":"simulated warning"}])";
        } else if (what == "behind") {
            out.behind = fault->text;
        }
    }
    auto reply = render(out, request);
    if (fault && fault->what == "json_cut") {  // whole for HTTP, cut for JSON
        std::string text;
        for (const auto& piece : reply.body) {
            text += *piece;
        }
        const auto size =
            fault->at < 0 ? text.size() - static_cast<std::size_t>(-fault->at) : static_cast<std::size_t>(fault->at);
        text.resize(std::min(text.size(), size));
        reply.body = {shared(std::move(text))};
    } else if (fault && fault->what == "gzip_lie") {
        reply.headers.emplace_back("Content-Encoding", "gzip");
    } else if (fault && (fault->what == "gzip_cut" || fault->what == "gzip_bomb")) {
        std::string text;
        for (const auto& piece : reply.body) {
            text += *piece;
        }
        if (fault->what == "gzip_bomb") {
            text.insert(text.find("\"rows\":[") + 8, std::string(static_cast<std::size_t>(fault->at), ' '));
        }
        text = gzip(text);
        text.resize(fault->what == "gzip_cut" ? text.size() / 2 : text.size());
        reply.body = {shared(std::move(text))};
        reply.headers.emplace_back("Content-Encoding", "gzip");
    }
    return reply;
}

Reply Simulator::render(const Page& page, const Request&) {
    const auto token = page.token.empty() ? std::string() : fmt::format(R"("pageToken":"{}",)", page.token);
    auto head = fmt::format(
        R"({{"kind":"bigquery#getQueryResultsResponse","etag":"simulated","schema":{{"fields":{}}},"jobReference":{{"projectId":"{}","jobId":"{}","location":"EU"}},"totalRows":{},{})",
        page.schema,
        options_.project,
        page.job,
        page.total,
        options_.token_first ? token : ""
    );
    auto tail = fmt::format(
        R"({}"totalBytesProcessed":"0","jobComplete":{},"cacheHit":false{}}})",
        options_.token_first ? "" : token,
        page.complete ? "true" : "false",
        page.behind
    );
    Reply reply;
    reply.headers = {{"Content-Type", "application/json; charset=UTF-8"}};
    if (!page.rows) {
        reply.add(head + tail);
        return reply;
    }
    head += "\"rows\":[";
    tail.insert(0, "],");
    if (page.packed) {  // members of gzip may follow each other
        reply.headers.emplace_back("Content-Encoding", "gzip");
        reply.add(gzip(head));
        reply.body.push_back(page.packed);
        reply.add(gzip(tail));
    } else {
        reply.add(std::move(head));
        reply.body.push_back(page.rows);
        reply.add(std::move(tail));
    }
    return reply;
}

}  // namespace headrace::support::bigquery
