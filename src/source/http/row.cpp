#include "source/http/row.hpp"

#include "base/error.hpp"
#include "base/json_text.hpp"
#include "source/http/values.hpp"

#include <fmt/core.h>
#include <simdjson.h>

#include <algorithm>

namespace headrace::source::http {
namespace {

constexpr std::size_t most_shown = 40;
constexpr std::size_t most_found = 256;  // an element may have millions of members

std::string excerpt(std::string_view text) {
    return text.size() > most_shown ? fmt::format("{} …", text.substr(0, most_shown)) : std::string(text);
}

[[noreturn]] void bad_row(std::uint64_t number, const std::string& what) {
    throw Error(ErrorKind::permanent, "source.bad_data", fmt::format("row {}: {}", number, what));
}

}  // namespace

RowDecoder::RowDecoder(Columns columns, bool single_as_list, std::optional<std::size_t> key)
    : columns_(std::move(columns)), single_as_list_(single_as_list), key_(key), nodes_(1), values_(columns_.size()) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t node = 0;
        for (const auto& step : columns_[i].path) {
            node = child(node, step);
        }
        nodes_[node].columns.push_back(i);
    }
}

std::size_t RowDecoder::child(std::size_t node, const Step& step) {
    const auto fresh = nodes_.size();
    auto& at = nodes_[node];
    if (step.selects()) {
        for (const auto& element : at.elements) {
            if (element.key == step.key && element.value == step.value) {
                return element.node;
            }
        }
        at.elements.push_back({std::nullopt, step.key, step.value, fresh, 0});
        at.selects = true;
    } else {
        for (const auto& member : at.members) {
            if (member.name == step.name) {
                return member.node;
            }
        }
        at.members.push_back({step.name, Scan::Expected(json_string(step.name) + ":"), fresh, 0});
        if (step.index) {
            at.elements.push_back({step.index, {}, {}, fresh, 0});
        }
    }
    nodes_.emplace_back();
    return fresh;
}

const char* RowDecoder::scan(const char* begin, const char* end) {
    std::fill(values_.begin(), values_.end(), Token());
    chosen_.clear();
    found_.clear();
    ++row_;
    Scan scan(begin, end);
    if (!take(scan, 0, 0)) {
        if (scan.state() == Scan::State::more) {
            return nullptr;
        }
        refuse(scan, begin);
    }
    text_ = {begin, static_cast<std::size_t>(scan.at - begin)};
    ++number;
    if (!simdjson::validate_utf8(text_.data(), text_.size())) {
        bad_row(number, "it is not UTF-8");
    }
    return scan.at;
}

void RowDecoder::refuse(const Scan& scan, const char* begin) const {
    if (scan.state() == Scan::State::deep) {
        throw Error(
            ErrorKind::permanent,
            "source.limit",
            fmt::format("row {} is nested deeper than {} levels", number + 1, most_levels)
        );
    }
    bad_row(number + 1, fmt::format("no valid JSON at its byte {}: {}", scan.at - begin + 1, scan.why()));
}

bool RowDecoder::take(Scan& scan, std::size_t node, int level) {
    const char* begin = scan.at;
    auto& at = nodes_[node];
    bool good = false;
    Token token;
    if (at.plain()) {
        good = scan.value(token, level);
    } else if (*begin == '{') {
        if (!at.members.empty() && !at.selects) {
            good = take_object(scan, node, level);
        } else if (single_as_list_) {
            good = take_element(scan, node, 0, level);
        } else {
            good = scan.value(level);
            if (good) {
                wrong_shape(node, "list", {begin, static_cast<std::size_t>(scan.at - begin)});
            }
        }
    } else if (*begin == '[' && !at.elements.empty()) {
        good = take_list(scan, node, level);
    } else {
        good = scan.value(level);
        const std::string_view found(begin, good ? static_cast<std::size_t>(scan.at - begin) : 0);
        if (good && found != "null") {
            wrong_shape(node, at.elements.empty() ? "object" : "list", found);
        }
    }
    if (good) {
        token.text = {begin, static_cast<std::size_t>(scan.at - begin)};
        for (const auto column : nodes_[node].columns) {
            values_[column] = token;
        }
    }
    return good;
}

// Null for all below it would hide that the service has changed.
void RowDecoder::wrong_shape(std::size_t node, const char* wanted, std::string_view found) const {
    std::size_t below = node;
    while (nodes_[below].columns.empty()) {
        below =
            nodes_[below].members.empty() ? nodes_[below].elements.front().node : nodes_[below].members.front().node;
    }
    bad_row(
        number + 1,
        fmt::format(
            "column `{}`: a {} is expected on the way to it, found `{}`",
            columns_[nodes_[below].columns.front()].field.name,
            wanted,
            excerpt(found)
        )
    );
}

// Members mostly come in the order of the row before: name and colon at once.
const RowDecoder::Member* RowDecoder::expected_member(Scan& scan, std::size_t node) {
    auto& at = nodes_[node];
    const auto expected = at.members[at.last].follower;
    const auto& member = at.members[expected];
    if (!scan.skip(member.quoted)) {
        return nullptr;
    }
    at.last = expected;
    return &member;
}

const RowDecoder::Member* RowDecoder::member(std::size_t node, std::string_view name, bool escaped) {
    if (escaped) {
        unescape(name, scratch_);
        name = scratch_;
    }
    auto& at = nodes_[node];
    const auto found =
        std::find_if(at.members.begin(), at.members.end(), [&](const auto& member) { return member.name == name; });
    if (found == at.members.end()) {
        return nullptr;
    }
    at.last = at.members[at.last].follower = static_cast<std::size_t>(found - at.members.begin());
    return &*found;
}

bool RowDecoder::take_object(Scan& scan, std::size_t node, int level) {
    if (!scan.enter(level)) {
        return false;
    }
    ++scan.at;
    if (!scan.space()) {
        return false;
    }
    if (scan.peek() == '}') {
        ++scan.at;
        return true;
    }
    for (;;) {
        const auto* below = expected_member(scan, node);
        if (below == nullptr) {
            bool escaped = false;
            const char* name = scan.at + 1;
            if (!scan.text(escaped)) {
                return false;
            }
            below = member(node, {name, static_cast<std::size_t>(scan.at - 1 - name)}, escaped);
            if (!(scan.space() && scan.sign(':'))) {
                return false;
            }
        }
        if (!scan.space()) {
            return false;
        }
        if (!(below != nullptr ? take(scan, below->node, level + 1) : scan.value(level + 1)) || !scan.space()) {
            return false;
        }
        if (scan.peek() == '}') {
            ++scan.at;
            return true;
        }
        if (!scan.sign(',') || !scan.space()) {
            return false;
        }
    }
}

bool RowDecoder::take_list(Scan& scan, std::size_t node, int level) {
    if (!scan.enter(level)) {
        return false;
    }
    ++scan.at;
    if (!scan.space()) {
        return false;
    }
    if (scan.peek() == ']') {
        ++scan.at;
        return true;
    }
    for (std::size_t index = 0;; ++index) {
        if (!take_element(scan, node, index, level + 1) || !scan.space()) {
            return false;
        }
        if (scan.peek() == ']') {
            ++scan.at;
            return true;
        }
        if (!scan.sign(',') || !scan.space()) {
            return false;
        }
    }
}

bool RowDecoder::take_element(Scan& scan, std::size_t node, std::size_t index, int level) {
    const char* begin = scan.at;
    if (nodes_[node].selects && *begin == '{') {
        return select(scan, node, index, level);
    }
    for (const auto& element : nodes_[node].elements) {
        if (element.index == index) {
            return take(scan, element.node, level);
        }
    }
    return scan.value(level);
}

// Goes over the element to see which selections it is; again for those whose values lie deeper than its members.
bool RowDecoder::select(Scan& scan, std::size_t node, std::size_t index, int level) {
    const char* begin = scan.at;
    const auto mine = chosen_.size();
    const auto first_found = found_.size();
    for (const auto& element : nodes_[node].elements) {
        if (element.index == index) {
            chosen_.push_back(element.node);
        }
    }
    if (!scan.enter(level)) {
        return false;
    }
    ++scan.at;
    if (!scan.space()) {
        return false;
    }
    bool gathered = true;  // all of its members, with names that need no decoding
    while (scan.peek() != '}') {
        bool escaped = false;
        const char* name = scan.at + 1;
        if (!scan.text(escaped)) {
            return false;
        }
        const std::string_view key(name, static_cast<std::size_t>(scan.at - 1 - name));
        if (!(scan.space() && scan.sign(':') && scan.space())) {
            return false;
        }
        Token token;
        if (!scan.value(token, level + 1)) {
            return false;
        }
        gathered = gathered && !escaped && found_.size() < most_found;
        if (gathered) {
            found_.push_back({key, token});
        }
        for (std::size_t i = 0; i < nodes_[node].elements.size(); ++i) {
            auto& element = nodes_[node].elements[i];
            if (element.found_in != row_ && element.key == key && scalar_text(token, scratch_) == element.value) {
                element.found_in = row_;
                chosen_.push_back(element.node);
            }
        }
        if (!scan.space()) {
            return false;
        }
        if (scan.peek() != '}' && (!scan.sign(',') || !scan.space())) {
            return false;
        }
    }
    const char* behind = scan.at + 1;
    for (auto i = mine; i < chosen_.size(); ++i) {
        scan.at = begin;
        if (!(gathered && take_found(chosen_[i], first_found)) && !take(scan, chosen_[i], level)) {
            return false;
        }
    }
    chosen_.resize(mine);
    found_.resize(first_found);
    scan.at = behind;
    return true;
}

// The members of an element that was gone over. False: not all of them are plain values.
bool RowDecoder::take_found(std::size_t node, std::size_t from) {
    const auto& members = nodes_[node].members;
    if (members.empty() || !nodes_[node].columns.empty() || !nodes_[node].elements.empty() ||
        !std::all_of(members.begin(), members.end(), [&](const auto& one) { return nodes_[one.node].plain(); })) {
        return false;
    }
    for (auto i = from; i < found_.size(); ++i) {
        for (const auto& member : members) {
            if (member.name == found_[i].name) {
                for (const auto column : nodes_[member.node].columns) {
                    values_[column] = found_[i].value;
                }
            }
        }
    }
    return true;
}

std::int64_t RowDecoder::key() const {
    const auto& token = values_[*key_];
    const bool scalar = !token.text.empty() && !token.is_null() && !token.is_nested();
    const auto value = scalar ? integer_of(token, scratch_) : std::nullopt;
    if (!value) {
        bad_row(
            number,
            fmt::format(
                "`{}` tells rows apart and must be an integer, found {}",
                columns_[*key_].field.name,
                token.text.empty() ? "nothing" : fmt::format("`{}`", excerpt(token.text))
            )
        );
    }
    return *value;
}

void RowDecoder::append_value(std::size_t column, data::Column& to) const {
    const auto& token = values_[column];
    const auto& plan = columns_[column];
    if (token.text.empty() || token.is_null()) {
        if (!plan.field.nullable) {
            bad_row(number, fmt::format("column `{}` must not be null", plan.field.name));
        }
        to.add_null();
        return;
    }
    const bool lone = plan.form == Form::list && token.text.front() != '[';
    if ((lone && !single_as_list_) || !http::append_value(plan, token, to, scratch_)) {
        bad_row(
            number,
            fmt::format(
                "column `{}`: `{}` is no {}",
                plan.field.name,
                excerpt(token.text),
                lone ? "list" : data::type_text(plan.field)
            )
        );
    }
}

void RowDecoder::append(data::Batch& batch) const {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        append_value(i, batch.column(i));
    }
}

}  // namespace headrace::source::http
