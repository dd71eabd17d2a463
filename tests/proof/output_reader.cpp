#include "proof/output_reader.hpp"

#include <fmt/core.h>
#include <poll.h>

namespace headrace::proof {
namespace {

constexpr int pause_between_rounds_ms = 4;
constexpr long large = 500;           // rows: an output of so many is
constexpr long rounds_per_large = 8;  // read in one of so many rounds

long number_of(const std::string& text) {
    return text.empty() ? -1 : std::stol(text);
}

}  // namespace

std::vector<std::string> Output::read_command(const std::string& from) const {
    if (as == "hash") {
        return {"HVALS", from};
    }
    if (as == "list") {
        return {"LRANGE", from, "0", "-1"};
    }
    if (as == "zset") {
        return {"ZRANGE", from, "0", "-1"};
    }
    if (as == "set") {
        return {"SMEMBERS", from};
    }
    return {"GET", from};
}

Marks marks_in(const std::string& text) {
    Marks marks;
    for (auto at = text.find('@'); at != std::string::npos; at = text.find('@', at)) {
        const auto end = text.find('@', at + 1);
        if (end == std::string::npos) {
            marks.mixed = true;  // half a row
            break;
        }
        const auto mark = text.substr(at + 1, end - at - 1);
        if (marks.count == 0) {
            marks.mark = mark;
        }
        marks.mixed = marks.mixed || mark != marks.mark;
        ++marks.count;
        at = end + 1;
    }
    return marks;
}

OutputReader::OutputReader(std::string redis_url, std::vector<Output> outputs, Violations& violations)
    : url_(std::move(redis_url)),
      outputs_(std::move(outputs)),
      violations_(violations),
      watched_(outputs_.size()),
      seen_(outputs_.size()),
      thread_([this] { run(); }) {}

OutputReader::~OutputReader() {
    stop();
}

void OutputReader::stop() {
    stopping_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
}

void OutputReader::note(const std::string& kind, std::size_t i, const std::string& what) {
    violations_.add(kind, fmt::format("{} ({}): {}", outputs_[i].key, outputs_[i].as, what));
}

void OutputReader::run() {
    try {
        Cache cache(url_);
        while (!stopping_) {
            round(cache);
            ::poll(nullptr, 0, pause_between_rounds_ms);
        }
    } catch (const std::exception& e) {
        violations_.add("other", fmt::format("the reader ended: {}", e.what()));
    }
}

void OutputReader::round(Cache& cache) {
    const auto losses = losses_ended_.load();
    if (losses != losses_known_) {
        losses_known_ = losses;
        for (auto& watched : watched_) {
            watched.since = watched.healing ? watched.since : Clock::now();
            watched.healing = true;
        }
    }
    ++rounds_;
    std::vector<std::size_t> now;
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
        const auto& output = outputs_[i];
        if (output.rows >= large && (rounds_ + static_cast<long>(i)) % rounds_per_large != 0) {
            continue;
        }
        now.push_back(i);
        cache.send({"MULTI"});
        cache.send(output.read_command());
        cache.send({"HMGET", output.key + ":meta", "epoch", "seq", "run", "rows"});
        cache.send({"EXEC"});
    }
    std::vector<Answer> answers;
    for (std::size_t n = 0; n < now.size(); ++n) {
        for (int skipped = 0; skipped < 3; ++skipped) {
            cache.answer();
        }
        answers.push_back(cache.answer());
    }
    const bool overlaps_loss = losses_begun_ != losses;
    for (std::size_t n = 0; n < now.size(); ++n) {
        judge(now[n], answers[n], overlaps_loss);
    }
    reads_ += static_cast<long>(now.size());
}

void OutputReader::judge(std::size_t i, const Answer& answer, bool overlaps_loss) {
    auto& watched = watched_[i];
    const auto text = answer.parts.at(0).all_text();
    const auto& meta = answer.parts.at(1);
    if (text.empty()) {
        if (watched.present && !watched.healing && !overlaps_loss) {
            note("torn", i, "the output is gone");
            watched.present = false;
        }
        return;
    }
    const auto marks = marks_in(text);
    judge_content(i, marks, meta);
    const Number number{number_of(meta.parts.at(0).text), number_of(meta.parts.at(1).text)};
    if (!overlaps_loss && number >= watched.last && watched.healing) {
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - watched.since);
        longest_heal_ = std::max(longest_heal_, watched.present ? took : longest_heal_);
        watched.healing = false;
    }
    if (number < watched.last && !watched.healing && !overlaps_loss) {
        note(
            "backwards",
            i,
            fmt::format(
                "from ({}, {}) to ({}, {})", watched.last.first, watched.last.second, number.first, number.second
            )
        );
    }
    if (number > watched.last || !watched.healing) {
        watched.last = number;
        watched.present = true;
    }
}

void OutputReader::judge_content(std::size_t i, const Marks& marks, const Answer& meta) {
    auto& watched = watched_[i];
    const Number number{number_of(meta.parts.at(0).text), number_of(meta.parts.at(1).text)};
    if (number == watched.last && marks.mark == watched.mark && !marks.mixed && marks.count == outputs_[i].rows) {
        return;  // as before
    }
    if (marks.mixed) {
        note("torn", i, "a mixture of generations");
    }
    if (marks.count != outputs_[i].rows) {
        note("torn", i, fmt::format("{} rows instead of {}", marks.count, outputs_[i].rows));
    }
    if (number_of(meta.parts.at(3).text) != outputs_[i].rows) {
        note("torn", i, fmt::format("meta says {} rows", meta.parts.at(3).text));
    }
    watched.mark = marks.mark;
    const auto [known, is_new] = seen_[i].try_emplace(number, Generation{meta.parts.at(2).text, marks.mark});
    if (!is_new && (known->second.mark != marks.mark || known->second.run != meta.parts.at(2).text)) {
        note("torn", i, fmt::format("two contents under ({}, {})", number.first, number.second));
    }
}

}  // namespace headrace::proof
