#include "support/bigquery/simulator.hpp"

#include "base/encoding.hpp"
#include "base/json_text.hpp"
#include "support/bigquery/simulator_parts.hpp"

#include <boost/json.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace headrace::support::bigquery {
namespace {

namespace json = boost::json;

constexpr std::string_view location = "EU";
constexpr std::uint64_t row_bytes = 100;  // what a row of any table costs

std::string text_of(const json::object& from, std::string_view name) {
    const auto* value = from.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

std::string last_part(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

// Of a QueryRequest, or of a job's query configuration: the members have the same names.
Asked asked_in(const json::object& query) {
    Asked out;
    out.query = text_of(query, "query");
    if (const auto* dataset = query.if_contains("defaultDataset")) {
        out.dataset = text_of(dataset->as_object(), "projectId") + "." + text_of(dataset->as_object(), "datasetId");
    }
    if (const auto* parameters = query.if_contains("queryParameters")) {
        for (const auto& one : parameters->as_array()) {
            const auto& parameter = one.as_object();
            out.parameters[text_of(parameter, "name")] = {
                text_of(parameter.at("parameterType").as_object(), "type"),
                text_of(parameter.at("parameterValue").as_object(), "value")};
        }
    }
    return out;
}

}  // namespace

Reply json_reply(std::string body, int status) {
    Reply out;
    out.status = status;
    out.headers = {{"Content-Type", "application/json; charset=UTF-8"}};
    out.add(std::move(body));
    return out;
}

Reply error_reply(int status, std::string_view reason, std::string_view message) {
    return json_reply(
        fmt::format(
            R"({{"error":{{"code":{0},"message":{2},"status":"SIMULATED","errors":[{{"message":{2},"domain":"global","reason":{1}}}]}}}})",
            status,
            json_string(reason),
            json_string(message)
        ),
        status
    );
}

Simulator::Simulator(SimulatorOptions options) : options_(std::move(options)), storage_(nullptr, [](Storage*) {}) {
    if (options_.storage) {
        start_storage();
    }
    listener_ = std::make_unique<Listener>([this](const Request& request) { return handle(request); }, options_.port);
}

Simulator::~Simulator() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    storage_.reset();
    listener_.reset();
}

std::string Simulator::address() const {
    return fmt::format("127.0.0.1:{}", listener_->port());
}

std::string Simulator::url() const {
    return "http://" + address();
}

void Simulator::add(Table table) {
    const std::lock_guard lock(mutex_);
    const auto name = table.name;
    tables_[name] = std::make_shared<const Table>(std::move(table));
    views_.clear();
    slices_.clear();
}

void Simulator::inject(Fault fault) {
    const std::lock_guard lock(mutex_);
    counts_.clear();
    faults_.push_back(std::move(fault));
}

void Simulator::mend() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
}

std::vector<Seen> Simulator::seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
}

int Simulator::count(std::string_view kind) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count_if(seen_.begin(), seen_.end(), [&](const Seen& one) { return one.kind == kind; })
    );
}

std::string Simulator::job_state(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto it = jobs_.find(std::string(id));
    return it == jobs_.end() ? "" : it->second->state;
}

std::string Simulator::kind_of(const Request& request) const {
    const auto& path = request.path;
    if (path == "/token") {
        return "token";
    }
    if (path.starts_with("/computeMetadata/")) {
        return "metadata";
    }
    if (path.ends_with("/cancel")) {
        return "cancel";
    }
    if (path.ends_with("/queries")) {
        return request.body.find("\"dryRun\":true") != std::string::npos ? "dry_run" : "query";
    }
    if (path.ends_with("/jobs")) {
        return "insert";
    }
    if (path.ends_with("/projects")) {
        return "projects";
    }
    if (path.find("/jobs/") != std::string::npos) {
        return "job";
    }
    if (path.find("/queries/") == std::string::npos) {
        return "other";
    }
    const auto most = request.query.find("maxResults");
    return most != request.query.end() && most->second == "0" ? "wait" : "page";
}

Reply Simulator::handle(const Request& request) {
    const auto kind = kind_of(request);
    {
        const std::lock_guard lock(mutex_);
        seen_.push_back({kind, request.path, request.query, request.body});
    }
    const auto fault = take_fault(kind, request);
    if (fault) {
        if (auto reply = early_fault(*fault)) {
            return std::move(*reply);
        }
    }
    if (options_.require_auth && kind != "token" && kind != "metadata") {
        const auto header = request.headers.find("authorization");
        if (header == request.headers.end() || !header->second.starts_with("Bearer ") ||
            !tokens_.good(std::string_view(header->second).substr(7))) {
            return error_reply(401, "authError", "Invalid Credentials");
        }
    }
    auto reply = kind == "insert" ? insert(request, fault)
                 : kind == "wait" ? wait(request, fault)
                 : kind == "page" ? page(request, fault)
                                  : route(request, kind);
    if (fault) {
        static const std::map<std::string, Damage> damages = {
            {"cut", Damage::cut},
            {"reset_within", Damage::reset_within},
            {"hang_within", Damage::hang},
            {"drip", Damage::drip},
            {"unframed", Damage::unframed},
            {"no_last_chunk", Damage::no_last_chunk},
            {"bad_chunk", Damage::bad_chunk},
            {"short_length", Damage::short_length},
            {"lost", Damage::reset}};
        if (const auto damage = damages.find(fault->what); damage != damages.end()) {
            reply.damage = damage->second;
            reply.at = fault->at;
        }
    }
    return reply;
}

Reply Simulator::route(const Request& request, const std::string& kind) {
    if (kind == "token") {
        return give_token(request);
    }
    if (kind == "metadata") {
        if (request.headers.find("metadata-flavor") == request.headers.end()) {
            return error_reply(403, "", "Missing Metadata-Flavor");
        }
        auto reply = json_reply(fmt::format(R"({{"access_token":"{}","expires_in":3600}})", tokens_.issue()));
        reply.headers.emplace_back("Metadata-Flavor", "Google");
        return reply;
    }
    if (kind == "dry_run") {
        return dry_run(request);
    }
    if (kind == "projects") {
        return json_reply(fmt::format(
            R"({{"kind":"bigquery#projectList","projects":[{{"id":"{0}","friendlyName":"{0}"}}],"totalItems":1}})",
            options_.project
        ));
    }
    if (kind == "query") {
        return start_query(request);
    }
    if (kind == "job") {
        return get_job(request);
    }
    return kind == "cancel" ? cancel(request) : error_reply(404, "notFound", "Not found: " + request.path);
}

// Pages are counted by their place in the result, everything else by its requests.
std::optional<Fault> Simulator::take_fault(const std::string& kind, const Request& request) {
    const std::lock_guard lock(mutex_);
    auto number = ++counts_[kind];
    if (kind == "page") {
        const auto token = request.query.find("pageToken");
        const auto from = token == request.query.end() ? 0 : std::strtoull(token->second.c_str() + 1, nullptr, 10);
        number = static_cast<int>(from / options_.page_rows) + 1;
    }
    for (auto& fault : faults_) {
        const bool there = kind == "page" ? number == fault.nth : number >= fault.nth;
        if (fault.on == kind && there && fault.times != 0) {
            fault.times -= fault.times > 0 ? 1 : 0;
            return fault;
        }
    }
    return std::nullopt;
}

// Faults that stand in place of an answer.
std::optional<Reply> Simulator::early_fault(const Fault& fault) {
    Reply reply;
    if (fault.what == "status") {
        reply = error_reply(static_cast<int>(fault.at), fault.text, "simulated: " + fault.text);
    } else if (fault.what == "bare") {
        reply = Reply();
        reply.status = static_cast<int>(fault.at);
        reply.headers = {{"Content-Type", "text/html"}};
        reply.add(fault.text);
    } else if (fault.what == "body") {
        reply = json_reply(fault.text, fault.at == 0 ? 200 : static_cast<int>(fault.at));
    } else if (fault.what == "revoke") {
        tokens_.revoke_all();
        reply = error_reply(401, "authError", "Invalid Credentials");
    } else if (fault.what == "reset") {
        reply.damage = Damage::reset;
    } else if (fault.what == "hang") {
        reply.damage = Damage::hang;
        reply.at = -1;
    } else {
        return std::nullopt;
    }
    if (!fault.retry_after.empty()) {
        reply.headers.emplace_back("Retry-After", fault.retry_after);
    }
    return reply;
}

Reply Simulator::give_token(const Request& request) {
    std::map<std::string, std::string> form;
    for (std::string_view rest = request.body; !rest.empty();) {
        const auto one = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        const auto equals = std::min(one.find('='), one.size());
        form[std::string(one.substr(0, equals))] =
            percent_decode(one.substr(std::min(equals + 1, one.size())), true).value_or("");
    }
    std::optional<std::string> wrong;
    if (form["grant_type"] == "refresh_token") {
        if (form["refresh_token"] != Tokens::refresh_token || form["client_secret"] != Tokens::client_secret) {
            wrong = "Token has been expired or revoked.";
        }
    } else if (form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer") {
        wrong = tokens_.refuse(form["assertion"], token_uri());
    } else {
        wrong = "grant_type";
    }
    if (wrong) {
        return json_reply(
            fmt::format(R"({{"error":"invalid_grant","error_description":{}}})", json_string(*wrong)), 400
        );
    }
    const auto life = options_.expires_in < 0 ? "" : fmt::format(",\"expires_in\":{}", options_.expires_in);
    return json_reply(fmt::format(R"({{"access_token":"{}","token_type":"Bearer"{}}})", tokens_.issue(), life));
}

Reply Simulator::dry_run(const Request& request) {
    const auto body = json::parse(request.body).as_object();
    std::string why;
    const auto view = view_of(asked_in(body), why);
    if (!view) {
        return error_reply(400, "invalidQuery", why);
    }
    return json_reply(fmt::format(
        R"({{"kind":"bigquery#queryResponse","schema":{{"fields":{}}},"jobReference":{{"projectId":"{}","location":"{}"}},"totalBytesProcessed":"{}","jobComplete":true,"cacheHit":false}})",
        view->schema,
        options_.project,
        location,
        view->rows * row_bytes
    ));
}

// "projects/p/datasets/d/tables/t": a table, or the result of a job.
std::shared_ptr<const Simulator::View> Simulator::table_view(const std::string& resource) {
    static const std::regex shape(R"(^projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)$)");
    std::smatch found;
    if (!std::regex_match(resource, found, shape)) {
        return nullptr;
    }
    if (found[2] == "_results") {
        const std::lock_guard lock(mutex_);
        const auto job = jobs_.find(found[3].str());
        return job == jobs_.end() ? nullptr : job->second->view;
    }
    std::string why;
    return view_of(
        {fmt::format("SELECT * FROM `{}.{}.{}`", found[1].str(), found[2].str(), found[3].str()), "", {}}, why
    );
}

// jobs.query, as Google's own client calls it.
Reply Simulator::start_query(const Request& request) {
    const auto body = json::parse(request.body).as_object();
    const auto query = text_of(body, "query");
    std::string why;
    const auto view = view_of(asked_in(body), why);
    if (!view) {
        return error_reply(400, "invalidQuery", why);
    }
    auto job = std::make_unique<Job>();
    {
        const std::lock_guard lock(mutex_);
        job->id = fmt::format("job_{}", ++next_job_);
        job->query = query;
        job->view = view;
        job->state = "DONE";
    }
    Request first = request;
    first.path += "/" + job->id;
    first.query["location"] = location;
    {
        const std::lock_guard lock(mutex_);
        jobs_[job->id] = std::move(job);
    }
    return page(first, std::nullopt);
}

Reply Simulator::insert(const Request& request, const std::optional<Fault>& fault) {
    const auto body = json::parse(request.body).as_object();
    const auto& query = body.at("configuration").as_object().at("query").as_object();
    auto job = std::make_unique<Job>();
    job->id = text_of(body.at("jobReference").as_object(), "jobId");
    job->query = fault && fault->what == "foreign" ? "SELECT 1" : text_of(query, "query");
    std::string why;
    job->view = view_of(asked_in(query), why);
    if (!job->view) {
        return error_reply(400, "invalidQuery", why);
    }
    const auto* dry = body.at("configuration").as_object().if_contains("dryRun");
    if (dry != nullptr && dry->is_bool() && dry->as_bool()) {
        job->state = "DONE";
        return json_reply(job_json(*job));
    }
    const auto most = text_of(query, "maximumBytesBilled");
    if (!most.empty() && std::stoull(most) < job->view->rows * row_bytes) {
        job->state = "DONE";
        job->reason = "bytesBilledLimitExceeded";
        job->message = "Query exceeded limit for bytes billed: " + most;
    }
    const std::lock_guard lock(mutex_);
    const auto id = job->id;
    if (jobs_.find(id) != jobs_.end()) {
        return error_reply(409, "duplicate", "Already Exists: Job " + id);
    }
    const auto& kept = *(jobs_[id] = std::move(job));
    if (fault && fault->what == "foreign") {
        auto reply = Reply();
        reply.damage = Damage::reset;
        return reply;
    }
    return json_reply(job_json(kept));
}

std::string Simulator::job_json(const Job& job) const {
    const auto failed =
        job.reason.empty()
            ? std::string()
            : fmt::format(R"(,"errorResult":{{"reason":"{}","message":{}}})", job.reason, json_string(job.message));
    const auto bytes = job.view ? job.view->rows * row_bytes : 0;
    return fmt::format(
        R"({{"kind":"bigquery#job","id":"{0}:{1}.{2}","jobReference":{{"projectId":"{0}","jobId":"{2}","location":"{1}"}},"configuration":{{"jobType":"QUERY","query":{{"query":{3},"destinationTable":{{"projectId":"{0}","datasetId":"_results","tableId":"{2}"}}}}}},"status":{{"state":"{4}"{5}}},"statistics":{{"totalBytesProcessed":"{6}","query":{{"totalBytesBilled":"{7}","cacheHit":false}}}}}})",
        options_.project,
        location,
        job.id,
        json_string(job.query),
        job.state == "CANCELLED" ? "DONE" : job.state,
        failed,
        bytes,
        std::max<std::uint64_t>(bytes, 10'485'760)
    );
}

// Under the lock. Without the place of the job there is no job.
Simulator::Job* Simulator::find_job(const Request& request) {
    auto path = request.path;
    if (path.ends_with("/cancel")) {
        path.resize(path.size() - std::string_view("/cancel").size());
    }
    const auto place = request.query.find("location");
    const auto it = jobs_.find(last_part(path));
    return it == jobs_.end() || place == request.query.end() || place->second != location ? nullptr : it->second.get();
}

Reply Simulator::get_job(const Request& request) {
    const std::lock_guard lock(mutex_);
    const auto path = last_part(request.path);
    const auto it = jobs_.find(path);
    return it == jobs_.end() ? error_reply(404, "notFound", "Not found: Job " + path)
                             : json_reply(job_json(*it->second));
}

Reply Simulator::cancel(const Request& request) {
    const std::lock_guard lock(mutex_);
    auto* job = find_job(request);
    if (job == nullptr) {
        return error_reply(404, "notFound", "Not found: Job");
    }
    if (job->state != "DONE") {
        job->state = "CANCELLED";
        job->reason = "stopped";
        job->message = "Job execution was cancelled";
        changed_.notify_all();
    }
    return json_reply(fmt::format(R"({{"kind":"bigquery#jobCancelResponse","job":{}}})", job_json(*job)));
}

Reply Simulator::wait(const Request& request, const std::optional<Fault>& fault) {
    std::unique_lock lock(mutex_);
    auto* job = find_job(request);
    if (job == nullptr) {
        return error_reply(404, "notFound", "Not found: Job (which location?)");
    }
    if (fault && fault->what == "pending") {
        changed_.wait_for(lock, std::chrono::milliseconds(fault->at), [&] {
            return ending_ || job->state == "CANCELLED";
        });
        if (job->state != "CANCELLED") {
            return json_reply(fmt::format(
                R"({{"jobReference":{{"projectId":"{}","jobId":"{}","location":"{}"}},"jobComplete":false}})",
                options_.project,
                job->id,
                location
            ));
        }
    }
    if (fault && fault->what == "job_error") {
        job->reason = fault->text;
        job->message = "simulated: " + fault->text;
    }
    if (job->state != "CANCELLED") {
        job->state = "DONE";
    }
    if (!job->reason.empty()) {
        return error_reply(400, job->reason, job->message);
    }
    lock.unlock();
    return page(request, fault);
}

}  // namespace headrace::support::bigquery
