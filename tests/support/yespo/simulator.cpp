#include "support/yespo/simulator.hpp"

#include "base/encoding.hpp"
#include "support/bigquery/simulator_parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <random>

namespace headrace::support::yespo {
namespace {

using bigquery::Damage;
using bigquery::Reply;
using bigquery::Request;

constexpr std::int64_t most_rows = 1000;

Reply answer(int status, std::string_view type, std::string body) {
    Reply out;
    out.status = status;
    out.headers = {{"Content-Type", std::string(type)}};
    out.add(std::move(body));
    return out;
}

Reply json_answer(std::string body, int status = 200) {
    return answer(status, "application/json;charset=UTF-8", std::move(body));
}

std::int64_t number_of(const Request& request, const std::string& name, std::int64_t otherwise) {
    const auto it = request.query.find(name);
    return it == request.query.end() || it->second.empty() ? otherwise : std::stoll(it->second);
}

// user and API key of a Basic header.
std::pair<std::string, std::string> login_of(const Request& request) {
    const auto it = request.headers.find("authorization");
    if (it == request.headers.end() || !it->second.starts_with("Basic ")) {
        return {};
    }
    const auto text = base64_decode(it->second.substr(6)).value_or("");
    const auto colon = std::min(text.find(':'), text.size());
    return {text.substr(0, colon), text.substr(std::min(colon + 1, text.size()))};
}

struct Range {
    std::int64_t start = 0, rows = 0;
};

// Where the rows begin (0-based) and how many there are at most.
Range range_of(Range asked, const std::optional<Fault>& fault) {
    Range out{std::max<std::int64_t>(asked.start - 1, 0), std::min(asked.rows, most_rows)};
    if (!fault) {
        return out;
    }
    if (fault->what == "zero_based") {
        out.start = asked.start;
    } else if (fault->what == "ignore_start") {
        out.start = 0;
    } else if (fault->what == "short") {
        out.rows = std::min<std::int64_t>(out.rows, fault->at);
    } else if (fault->what == "empty") {
        out.rows = 0;
    }
    return out;
}

std::string deep_contact(long levels) {
    return R"({"id":1,"firstName":)" + std::string(static_cast<std::size_t>(levels), '[') +
           std::string(static_cast<std::size_t>(levels), ']') + "}";
}

std::string first_contact(const Fault& fault) {
    return fault.what == "deep" ? deep_contact(fault.at)
           : fault.what == "huge"
               ? R"({"id":1,"firstName":")" + std::string(static_cast<std::size_t>(fault.at), 'x') + "\"}"
               : fault.text;
}

std::string render(ContactTexts& texts, std::span<const std::uint32_t> numbers, const std::optional<Fault>& fault) {
    std::string out;
    out.reserve(numbers.size() * 560 + 2);
    const bool lone = numbers.size() == 1;
    out += lone ? "" : "[";
    if (!numbers.empty() && fault && (fault->what == "first" || fault->what == "deep" || fault->what == "huge")) {
        out += first_contact(*fault);
        numbers = numbers.subspan(1);
        out += numbers.empty() ? "" : ",";
    }
    texts.append(out, numbers);
    out += lone ? "" : "]";
    return out;
}

void set_header(Reply& reply, const std::string& name, const std::string& value) {
    std::erase_if(reply.headers, [&](const auto& header) { return header.first == name; });
    if (!value.empty()) {
        reply.headers.emplace_back(name, value);
    }
}

constexpr std::pair<std::string_view, Damage> damages[] = {
    {"reset", Damage::reset},
    {"cut", Damage::cut},
    {"reset_within", Damage::reset_within},
    {"hang", Damage::hang},
    {"drip", Damage::drip},
    {"unframed", Damage::unframed},
    {"no_last_chunk", Damage::no_last_chunk},
    {"bad_chunk", Damage::bad_chunk},
    {"short_length", Damage::short_length}};

// What needs no rows.
std::optional<Reply> early(const Fault& fault) {
    if (fault.what == "status") {
        auto reply = fault.text.starts_with('<')   ? answer(static_cast<int>(fault.at), "text/html", fault.text)
                     : fault.text.starts_with('{') ? json_answer(fault.text, static_cast<int>(fault.at))
                                                   : answer(static_cast<int>(fault.at), "text/plain", fault.text);
        set_header(reply, "Retry-After", fault.retry_after);
        return reply;
    }
    if (fault.what == "redirect") {
        auto reply = answer(static_cast<int>(fault.at), "text/plain", "");
        set_header(reply, "Location", fault.text);
        return reply;
    }
    if (fault.what == "body") {
        return json_answer(fault.text);
    }
    if (fault.what == "typed") {
        const auto bar = fault.text.find('|');
        return answer(200, fault.text.substr(0, bar), fault.text.substr(bar + 1));
    }
    if (fault.what == "gzip_bomb") {
        auto reply = json_answer(bigquery::gzip("[" + std::string(static_cast<std::size_t>(fault.at), ' ') + "]"));
        set_header(reply, "Content-Encoding", "gzip");
        return reply;
    }
    return std::nullopt;
}

Reply packed(std::string body, const Fault& fault) {
    const auto whole = fault.what == "gzip_plain" ? body : bigquery::gzip(body);
    auto reply = json_answer(
        fault.what == "gzip_cut"       ? whole.substr(0, whole.size() - 12)
        : fault.what == "gzip_garbage" ? whole + "garbage behind the end"
                                       : whole
    );
    set_header(reply, "Content-Encoding", "gzip");
    return reply;
}

Reply damaged(std::string body, const Fault& fault) {
    if (fault.what.starts_with("gzip")) {
        return packed(std::move(body), fault);
    }
    if (fault.what == "json_cut") {
        body.resize(std::min(body.size(), static_cast<std::size_t>(fault.at)));
    } else if (fault.what == "bom") {
        body.insert(0, "\xef\xbb\xbf");
    }
    auto reply = json_answer(std::move(body));
    for (const auto& [name, damage] : damages) {
        if (fault.what == name) {
            reply.damage = damage;
            reply.at = fault.at;
        }
    }
    return reply;
}

}  // namespace

Simulator::Simulator(std::uint16_t port) {
    listener_ = std::make_unique<bigquery::Listener>([this](const Request& request) { return handle(request); }, port);
}

Simulator::~Simulator() {
    listener_.reset();
}

std::string Simulator::address() const {
    return fmt::format("127.0.0.1:{}", listener_->port());
}

std::string Simulator::url() const {
    return "http://" + address() + "/api/v1";
}

void Simulator::add_group(const std::string& id, const std::string& key, std::uint32_t members, std::uint32_t first) {
    Group group{key, std::vector<std::uint32_t>(members)};
    for (std::uint32_t i = 0; i < members; ++i) {
        group.members[i] = first + i;
    }
    const std::lock_guard lock(mutex_);
    groups_[id] = std::move(group);
}

std::vector<std::uint32_t> Simulator::members(const std::string& group) const {
    const std::lock_guard lock(mutex_);
    return groups_.at(group).members;
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

std::size_t Simulator::count() const {
    const std::lock_guard lock(mutex_);
    return seen_.size();
}

std::optional<Fault> Simulator::take_fault(const std::string& group) {
    const int all = ++counts_[""];
    const int own = ++counts_[group];
    for (auto& fault : faults_) {
        const int number = fault.group.empty() ? all : own;
        if ((fault.group.empty() || fault.group == group) && number >= fault.nth && fault.times != 0) {
            fault.times -= fault.times > 0 ? 1 : 0;
            return fault;
        }
    }
    return std::nullopt;
}

void Simulator::change(Group& group, const Fault& fault) {
    auto& members = group.members;
    const auto count =
        static_cast<std::ptrdiff_t>(std::min<std::size_t>(static_cast<std::size_t>(fault.at), members.size()));
    if (fault.what == "delete_front") {
        members.erase(members.begin(), members.begin() + count);
    } else if (fault.what == "delete_all") {
        members.clear();
    } else if (fault.what == "shuffle") {
        std::shuffle(members.begin(), members.end(), std::mt19937(7));
    } else if (fault.what == "insert_front" || fault.what == "append") {
        std::uint32_t next = members.empty() ? 1 : *std::max_element(members.begin(), members.end()) + 1;
        std::vector<std::uint32_t> more;
        for (long i = 0; i < fault.at; ++i) {
            more.push_back(next++);
        }
        members.insert(fault.what == "append" ? members.end() : members.begin(), more.begin(), more.end());
    }
}

Reply Simulator::handle(const Request& request) {
    constexpr std::string_view prefix = "/api/v1/group/";
    constexpr std::string_view suffix = "/contacts";
    const auto [user, key] = login_of(request);
    const std::string_view path = request.path;
    if (request.method != "GET" || !path.starts_with(prefix) || !path.ends_with(suffix)) {
        return answer(404, "text/plain", "Not found");
    }
    const std::string id(path.substr(prefix.size(), path.size() - prefix.size() - suffix.size()));
    {
        const std::lock_guard lock(mutex_);
        const bool known = std::any_of(groups_.begin(), groups_.end(), [&key = key](const auto& one) {
            return one.second.key == key;
        });
        if (user.empty() || !known) {
            return json_answer(R"({"status":401,"message":"Unauthorized"})", 401);
        }
        const auto group = groups_.find(id);
        if (group == groups_.end() || group->second.key != key) {
            return answer(404, "text/plain", "Group was not found");
        }
    }
    const auto accept = request.headers.find("accept");
    if (accept == request.headers.end() || accept->second.find("json") == std::string::npos) {
        return answer(200, "application/xml", "<contacts/>");
    }
    return contacts(request, id, user);
}

Reply Simulator::contacts(const Request& request, const std::string& id, const std::string& user) {
    const Range asked{number_of(request, "startindex", 1), number_of(request, "maxrows", 500)};
    std::optional<Fault> fault;
    std::vector<std::uint32_t> numbers;
    std::string total;
    {
        const std::lock_guard lock(mutex_);
        seen_.push_back({id, asked.start, asked.rows, user});
        fault = take_fault(id);
        auto& group = groups_.at(id);
        if (fault) {
            change(group, *fault);
        }
        const auto range = range_of(asked, fault);
        const auto size = static_cast<std::int64_t>(group.members.size());
        const auto from = std::min(range.start, size);
        numbers.assign(group.members.begin() + from, group.members.begin() + std::min(from + range.rows, size));
        total = fault && fault->what == "total" ? fault->text : std::to_string(size);
    }
    if (fault) {
        if (auto reply = early(*fault)) {
            return std::move(*reply);
        }
    }
    auto body = render(texts_, numbers, fault);
    auto reply = fault ? damaged(std::move(body), *fault) : json_answer(std::move(body));
    set_header(reply, "TotalCount", total);
    return reply;
}

}  // namespace headrace::support::yespo
