#include "data/column.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace headrace::data {

void Column::refuse_text() {
    throw Error(ErrorKind::permanent, "source.bad_data", "the text of one column in one batch passes 4 GiB");
}

void Column::clear() {
    size_ = 0;
    has_nulls_ = false;
    quotable_ = 0;
    fixed_.clear();
    var_.clear();
    ends_.clear();
    nulls_.clear();
}

void Column::reset(Kind kind) {
    clear();
    kind_ = kind;
}

void Column::add_null() {
    if (is_var(kind_)) {
        ends_.push_back(static_cast<std::uint32_t>(var_.size()));
    } else {
        fixed_.push_back(0);
    }
    set_null(size_++);
}

void Column::set_null(std::size_t row) {
    has_nulls_ = true;
    const std::size_t words = row / 64 + 1;
    if (const std::size_t before = nulls_.size(); before < words) {
        nulls_.resize(words);
        std::fill(nulls_.data() + before, nulls_.data() + words, 0);
    }
    nulls_[row / 64] |= std::uint64_t{1} << (row % 64);
}

void Column::append_rows(const Column& other, std::size_t from, std::size_t to) {
    const std::size_t count = to - from;
    if (count == 0) {
        return;
    }
    if (is_var(kind_)) {
        const std::uint32_t begin = from == 0 ? 0 : other.ends_[from - 1];
        const std::size_t length = other.ends_[to - 1] - begin;
        check_text_size(length);
        // May wrap below zero; adding it to an offset wraps back.
        const std::uint32_t shift = static_cast<std::uint32_t>(var_.size()) - begin;
        const bool all_quotable = quotable() && other.quotable();
        var_.append(other.var_.data() + begin, length);
        quotable_ = all_quotable ? var_.size() : quotable_;
        std::uint32_t* ends = ends_.extend(count);
        for (std::size_t i = 0; i < count; ++i) {
            ends[i] = other.ends_[from + i] + shift;
        }
    } else {
        fixed_.append(other.fixed_.data() + from, count);
    }
    if (other.has_nulls_) {
        for (std::size_t i = 0; i < count; ++i) {
            if (other.is_null(from + i)) {
                set_null(size_ + i);
            }
        }
    }
    size_ += count;
}

void Column::filter(const std::uint8_t* keep) {
    std::size_t kept = 0;
    std::uint32_t begin = 0;  // of the text of the row that is looked at
    std::uint32_t written = 0;
    const bool var = is_var(kind_);
    const bool all_quotable = quotable();
    for (std::size_t row = 0; row < size_; ++row) {
        const std::uint32_t end = var ? ends_[row] : 0;
        if (keep[row] != 0) {
            if (var) {
                if (written != begin && end != begin) {
                    std::memmove(var_.data() + written, var_.data() + begin, end - begin);
                }
                written += end - begin;
                ends_[kept] = written;
            } else {
                fixed_[kept] = fixed_[row];
            }
            if (has_nulls_) {
                const bool null = is_null(row);  // kept <= row: the bit read is never one that was already moved
                if (null) {
                    set_null(kept);
                } else if (kept / 64 < nulls_.size()) {
                    nulls_[kept / 64] &= ~(std::uint64_t{1} << (kept % 64));
                }
            }
            ++kept;
        }
        begin = end;
    }
    truncate(kept);
    quotable_ = all_quotable ? var_.size() : 0;
}

void Column::truncate(std::size_t rows) {
    if (rows >= size_) {
        return;
    }
    size_ = rows;
    if (is_var(kind_)) {
        ends_.resize(rows);
        var_.resize(rows == 0 ? 0 : ends_[rows - 1]);
        quotable_ = std::min(quotable_, var_.size());
    } else {
        fixed_.resize(rows);
    }
    // Bits above the last row must be clear: later rows are appended as "not null" without touching them.
    if (const std::size_t words = (rows + 63) / 64; words < nulls_.size()) {
        nulls_.resize(words);
    }
    if (rows % 64 != 0 && rows / 64 < nulls_.size()) {
        nulls_[rows / 64] &= (std::uint64_t{1} << (rows % 64)) - 1;
    }
    has_nulls_ = has_nulls_ && std::any_of(nulls_.data(), nulls_.data() + nulls_.size(), [](std::uint64_t word) {
                     return word != 0;
                 });
}

}  // namespace headrace::data
