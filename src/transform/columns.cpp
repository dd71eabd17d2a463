// rename, drop, select, limit: steps that look at no value.
#include "transform/support.hpp"
#include "transform/transforms.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace headrace::transform {
namespace {

using pipeline::OptionKind;
using pipeline::Part;
using pipeline::Place;
using pipeline::Transform;

class Rename final : public Transform {
public:
    explicit Rename(const Part& part) : place_(part.options.place), names_(pairs_of(part.options, "value")) {
        if (names_.empty()) {
            invalid(place_, "`rename` needs a map {old: new}");
        }
    }

    data::Schema prepare(const data::Schema& in) override {
        auto out = in;
        indexes_.clear();
        for (const auto& [from, to] : names_) {
            const auto index = column_index(in, from, place_);
            if (to.empty()) {
                invalid(place_, fmt::format("the new name of `{}` is empty", from));
            }
            if (std::any_of(indexes_.begin(), indexes_.end(), [&](const auto& known) {
                    return known.first == index;
                })) {
                invalid(place_, fmt::format("`{}` is renamed twice", from));
            }
            out.fields[index].name = to;
            indexes_.emplace_back(index, to);
        }
        std::set<std::string> seen;
        for (const auto& field : out.fields) {
            if (!seen.insert(field.name).second) {
                invalid(place_, fmt::format("after `rename` there are two columns `{}`", field.name));
            }
        }
        return out;
    }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects&) override {
        for (const auto& [index, name] : indexes_) {
            batch.rename(index, name);
        }
        return 0;
    }

private:
    Place place_;
    std::vector<std::pair<std::string, std::string>> names_;
    std::vector<std::pair<std::size_t, std::string>> indexes_;
};

// drop and select: both end as a list of the columns that stay.
class Select final : public Transform {
public:
    Select(const Part& part, bool drop)
        : place_(part.options.place), drop_(drop), names_(part.options.get_list("value")) {
        if (names_.empty()) {
            invalid(place_, fmt::format("`{}` needs a list of columns", drop ? "drop" : "select"));
        }
        if (std::set<std::string>(names_.begin(), names_.end()).size() != names_.size()) {
            invalid(place_, fmt::format("`{}` names a column twice", drop ? "drop" : "select"));
        }
    }

    data::Schema prepare(const data::Schema& in) override {
        order_.clear();
        for (const auto& name : names_) {
            order_.push_back(column_index(in, name, place_));
        }
        if (drop_) {
            std::vector<std::size_t> kept;
            for (std::size_t i = 0; i < in.size(); ++i) {
                if (std::find(order_.begin(), order_.end(), i) == order_.end()) {
                    kept.push_back(i);
                }
            }
            order_ = std::move(kept);
        }
        if (order_.empty()) {
            invalid(place_, "`drop` would leave no column");
        }
        data::Schema out;
        for (const auto i : order_) {
            out.fields.push_back(in.fields[i]);
        }
        return out;
    }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects&) override {
        batch.select(order_);
        return 0;
    }

private:
    Place place_;
    bool drop_;
    std::vector<std::string> names_;
    std::vector<std::size_t> order_;
};

// The first rows of the run. The source is read to its end all the same: only then is the read proven.
class Limit final : public Transform {
public:
    explicit Limit(const Part& part) : left_(0) {
        const auto rows = part.options.get_int("value", -1);
        if (rows < 0) {
            invalid(part.options.place, "`limit` needs a number of rows, 0 or more");
        }
        left_ = static_cast<std::uint64_t>(rows);
    }

    data::Schema prepare(const data::Schema& in) override { return in; }

    std::uint64_t apply(data::Batch& batch, pipeline::Rejects&) override {
        const std::uint64_t rows = batch.rows();
        const std::uint64_t kept = std::min(rows, left_);
        batch.truncate(static_cast<std::size_t>(kept));
        left_ -= kept;
        return rows - kept;
    }

private:
    std::uint64_t left_;
};

}  // namespace

pipeline::TransformType rename_type() {
    return {
        "rename",
        "Gives columns other names.",
        {{"value", OptionKind::text_map, true, "", "{old: new}", {}}},
        [](const Part& part) { return std::make_unique<Rename>(part); }};
}

pipeline::TransformType drop_type() {
    return {
        "drop",
        "Takes columns away.",
        {{"value", OptionKind::text_list, true, "", "The columns to take away.", {}}},
        [](const Part& part) { return std::make_unique<Select>(part, true); }};
}

pipeline::TransformType select_type() {
    return {
        "select",
        "Keeps these columns, in this order.",
        {{"value", OptionKind::text_list, true, "", "The columns to keep.", {}}},
        [](const Part& part) { return std::make_unique<Select>(part, false); }};
}

pipeline::TransformType limit_type() {
    return {
        "limit",
        "Keeps the first rows of a run.",
        {{"value", OptionKind::integer, true, "", "How many rows to keep.", {}}},
        [](const Part& part) { return std::make_unique<Limit>(part); },
        true};
}

std::vector<pipeline::TransformType> types() {
    return {rename_type(), drop_type(), select_type(), set_type(), cast_type(), filter_type(), limit_type()};
}

}  // namespace headrace::transform
