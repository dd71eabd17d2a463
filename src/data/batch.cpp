#include "data/batch.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace headrace::data {

Column Batch::take_spare(Kind kind) {
    if (spare_.empty()) {
        return Column(kind);
    }
    Column column = std::move(spare_.back());
    spare_.pop_back();
    column.reset(kind);
    return column;
}

void Batch::reset(const Schema& schema) {
    if (schema_ != schema) {
        schema_ = schema;
    }
    const std::size_t width = schema.size();
    while (columns_.size() > width) {
        spare_.push_back(std::move(columns_.back()));
        columns_.pop_back();
    }
    while (columns_.size() < width) {
        columns_.push_back(take_spare(Kind::string));
    }
    for (std::size_t i = 0; i < width; ++i) {
        columns_[i].reset(schema.fields[i].kind);
    }
    first_row = 0;
    origins_.clear();
}

void Batch::clear() {
    for (auto& column : columns_) {
        column.clear();
    }
    origins_.clear();
}

std::size_t Batch::bytes() const {
    std::size_t total = 0;
    for (const auto& column : columns_) {
        total += column.bytes();
    }
    return total;
}

void Batch::append_rows(const Batch& other, std::size_t from, std::size_t to) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        columns_[i].append_rows(other.columns_[i], from, to);
    }
    origins_.clear();
}

void Batch::filter(const std::uint8_t* keep) {
    const auto count = rows();
    if (origins_.empty()) {
        origins_.resize(count);
        std::iota(origins_.begin(), origins_.end(), 0U);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        origins_[kept] = origins_[i];
        kept += keep[i];
    }
    origins_.resize(kept);
    for (auto& column : columns_) {
        column.filter(keep);
    }
}

void Batch::truncate(std::size_t rows) {
    for (auto& column : columns_) {
        column.truncate(rows);
    }
    origins_.resize(std::min(origins_.size(), rows));
}

void Batch::drop(std::size_t i) {
    const auto at = static_cast<std::ptrdiff_t>(i);
    spare_.push_back(std::move(columns_[i]));
    columns_.erase(columns_.begin() + at);
    schema_.fields.erase(schema_.fields.begin() + at);
}

Column& Batch::add(const Field& field) {
    schema_.fields.push_back(field);
    columns_.push_back(take_spare(field.kind));
    return columns_.back();
}

void Batch::replace(std::size_t i, const Field& field, Column&& column) {
    schema_.fields[i] = field;
    std::swap(columns_[i], column);
}

void Batch::select(const std::vector<std::size_t>& order) {
    Schema schema;
    std::vector<Column> columns;
    std::vector<bool> used(columns_.size(), false);
    for (const auto i : order) {
        schema.fields.push_back(std::move(schema_.fields[i]));
        columns.push_back(std::move(columns_[i]));
        used[i] = true;
    }
    for (std::size_t i = 0; i < used.size(); ++i) {
        if (!used[i]) {
            spare_.push_back(std::move(columns_[i]));
        }
    }
    schema_ = std::move(schema);
    columns_ = std::move(columns);
}

}  // namespace headrace::data
