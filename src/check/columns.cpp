// not_null and unique: guards over values.
#include "base/error.hpp"
#include "check/checks.hpp"
#include "check/keys.hpp"
#include "data/json.hpp"

#include <fmt/core.h>

#include <cstring>
#include <optional>

namespace headrace::check {
namespace {

using pipeline::Check;
using pipeline::OptionKind;
using pipeline::Part;
using pipeline::Place;

[[noreturn]] void invalid(const Place& place, std::string message) {
    throw Error(
        ErrorKind::invalid,
        "pipeline.invalid",
        place.file.empty() ? std::move(message)
                           : fmt::format("{}:{}:{}: {}", place.file, place.line, place.column, message)
    );
}

std::vector<std::size_t> find_columns(
    const data::Schema& schema,
    const std::vector<std::string>& names,
    const Place& place,
    std::string_view check
) {
    std::vector<std::size_t> out;
    for (const auto& name : names) {
        const auto index = schema.index_of(name);
        if (!index) {
            invalid(place, fmt::format("`{}`: the result has no column `{}`", check, name));
        }
        out.push_back(*index);
    }
    if (out.empty()) {
        invalid(place, fmt::format("`{}` needs a list of columns", check));
    }
    return out;
}

class NotNull final : public Check {
public:
    explicit NotNull(const Part& part) : place_(part.options.place), names_(part.options.get_list("value")) {}

    void prepare(const data::Schema& schema) override { columns_ = find_columns(schema, names_, place_, "not_null"); }

    void see(const data::Batch& batch, pipeline::Rejects& rejects) override {
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const auto& column = batch.column(columns_[i]);
            for (std::size_t row = 0; column.has_nulls() && row < column.size(); ++row) {
                if (column.is_null(row) &&
                    !rejects.take(batch, row, "not_null", fmt::format("`{}` is null", names_[i]))) {
                    throw Error(
                        ErrorKind::permanent,
                        "check.not_null",
                        fmt::format("`{}` is null in row {}", names_[i], batch.source_row(row) + 1)
                    );
                }
            }
        }
    }

    void verdict(std::uint64_t, std::int64_t) override {}

private:
    Place place_;
    std::vector<std::string> names_;
    std::vector<std::size_t> columns_;
};

// One key per row. A null is a value of its own, equal to no other value but to other nulls.
class Unique final : public Check {
public:
    explicit Unique(const Part& part) : place_(part.options.place), names_(part.options.get_list("value")), most_(0) {
        const auto most = part.options.get_int("max_keys", 10'000'000);
        if (most < 1 || most > 1'000'000'000) {
            invalid(place_, "`unique.max_keys` is between 1 and 1000000000");
        }
        most_ = static_cast<std::size_t>(most);
    }

    void prepare(const data::Schema& schema) override { columns_ = find_columns(schema, names_, place_, "unique"); }

    void see(const data::Batch& batch, pipeline::Rejects& rejects) override {
        for (std::size_t row = 0; row < batch.rows(); ++row) {
            make_key(batch, row);
            if (!keys_.insert(data::view(key_)) &&
                !rejects.take(batch, row, "unique", fmt::format("the same {} as a row before it", joined_names()))) {
                throw Error(
                    ErrorKind::permanent,
                    "check.unique",
                    fmt::format("row {} has the same {} as a row before it", batch.source_row(row) + 1, joined_names())
                );
            }
            if (keys_.size() > most_) {
                throw Error(ErrorKind::permanent, "check.unique_limit", fmt::format("more than {} keys", most_));
            }
        }
    }

    void verdict(std::uint64_t, std::int64_t) override {}

private:
    // Each value with a mark and, for texts, its length: ("a", "bc") and ("ab", "c") differ.
    void make_key(const data::Batch& batch, std::size_t row) {
        key_.clear();
        for (const auto index : columns_) {
            const auto& column = batch.column(index);
            if (column.is_null(row)) {
                key_.push_back('0');
            } else if (data::is_var(column.kind())) {
                const auto text = column.text(row);
                const auto size = static_cast<std::uint32_t>(text.size());
                key_.push_back('1');
                key_.append(reinterpret_cast<const char*>(&size), sizeof size);
                data::append(key_, text);
            } else {
                auto bits = column.int64(row);
                if (column.kind() == data::Kind::float64 && column.float64(row) == 0) {
                    bits = 0;  // -0 is 0
                }
                key_.push_back('2');
                key_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
            }
        }
    }

    std::string joined_names() const {
        std::string out;
        for (const auto& name : names_) {
            out += (out.empty() ? "`" : ", `") + name + '`';
        }
        return out;
    }

    Place place_;
    std::vector<std::string> names_;
    std::vector<std::size_t> columns_;
    std::size_t most_;
    KeySet keys_;
    data::Buffer<char> key_;
};

}  // namespace

pipeline::CheckType not_null_type() {
    return {
        "not_null",
        "These columns have a value in every row.",
        {{"value", OptionKind::text_list, true, "", "The columns.", {}}},
        [](const Part& part) { return std::make_unique<NotNull>(part); }};
}

pipeline::CheckType unique_type() {
    return {
        "unique",
        "No two rows have the same values in these columns.",
        {{"value", OptionKind::text_list, true, "", "The columns that make the key.", {}},
         {"max_keys",
          OptionKind::integer,
          false,
          "10000000",
          "More rows than this fail the check; each takes 20 to 30 bytes of memory.",
          {}}},
        [](const Part& part) { return std::make_unique<Unique>(part); },
        true};
}

std::vector<pipeline::CheckType> types() {
    return {min_rows_type(), max_drop_type(), rows_change_max_type(), not_null_type(), unique_type()};
}

}  // namespace headrace::check
