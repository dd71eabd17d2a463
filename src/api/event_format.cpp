#include "api/event_format.hpp"

#include "base/ids.hpp"
#include "run/states.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace headrace::api {
namespace {

constexpr std::array<std::string_view, 6> types =
    {"run.created", "run.state", "run.step", "run.progress", "run.log", "pipeline.changed"};

bool is_row(std::string_view type) {
    return type == "run.created" || type == "run.state";
}

bool is_known(const StreamEntry& entry) {
    return std::find(types.begin(), types.end(), entry.type) != types.end() &&
           (entry.type == "pipeline.changed" || is_uuid(entry.run));
}

StreamEntry entry_of(const redis::ReplyPart& reply, EventId id) {
    StreamEntry out{id, {}, {}, {}};
    const auto& fields = reply.at(1).elements();
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const auto& name = fields[i].str();
        if (name == "type") {
            out.type = fields[i + 1].str();
        } else if (name == "run") {
            out.run = fields[i + 1].str();
        } else if (name == "data") {
            out.data = fields[i + 1].str();
        }
    }
    // A line break inside would end the event; in JSON it can only stand between tokens.
    std::replace(out.data.begin(), out.data.end(), '\n', ' ');
    std::replace(out.data.begin(), out.data.end(), '\r', ' ');
    return out;
}

// {"run":…,"lastLogSeq":n} → {"run":…}
std::string created_data(const std::string& state_data) {
    return state_data.substr(0, state_data.rfind(",\"lastLogSeq\"")) + "}";
}

}  // namespace

std::vector<StreamEntry> parse_entries(const redis::ReplyPart& entries, EventId* last) {
    std::vector<StreamEntry> out;
    for (const auto& reply : entries.elements()) {
        const auto id = EventId::parse(reply.at(0).str());
        if (!id) {
            continue;
        }
        if (last != nullptr) {
            *last = *id;
        }
        if (reply.at(1).is_nil()) {
            continue;  // deleted meanwhile
        }
        auto entry = entry_of(reply, *id);
        if (is_known(entry)) {
            out.push_back(std::move(entry));
        }
    }
    return out;
}

std::vector<std::string> runs_of(const std::vector<StreamEntry>& entries) {
    std::set<std::string> ids;
    for (const auto& entry : entries) {
        if (is_row(entry.type)) {
            ids.insert(entry.run);
        }
    }
    return {ids.begin(), ids.end()};
}

std::string format_event(std::string_view id, std::string_view event, std::string_view data) {
    std::string out;
    out.reserve(id.size() + event.size() + data.size() + 24);
    if (!id.empty()) {
        out.append("id: ").append(id).append("\n");
    }
    return out.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
}

std::vector<SentEvent> format_entries(const std::vector<StreamEntry>& entries, const std::vector<RunEvent>& rows) {
    std::map<std::pair<std::string, std::string>, EventId> newest;  // (type, run) → last id
    for (const auto& entry : entries) {
        newest[{entry.type, entry.run}] = entry.id;
    }
    std::vector<SentEvent> out;
    out.reserve(entries.size());
    for (const auto& entry : entries) {
        SentEvent sent{
            entry.id,
            entry.run,
            {},
            entry.type != "run.log",
            entry.type.starts_with("run.") && entry.type != "run.created",
            false};
        if (!is_row(entry.type)) {
            sent.text = format_event(entry.id.text(), entry.type, entry.data);
        } else {
            const auto row =
                std::find_if(rows.begin(), rows.end(), [&](const RunEvent& r) { return r.id == entry.run; });
            if (row == rows.end() || newest[{entry.type, entry.run}] != entry.id) {
                continue;
            }
            sent.text = format_event(
                entry.id.text(), entry.type, entry.type == "run.created" ? created_data(row->data) : row->data
            );
            sent.final = entry.type == "run.state" && run::is_final(row->state);
        }
        out.push_back(std::move(sent));
    }
    return out;
}

}  // namespace headrace::api
