// A time zone as a table of stretches of constant offset, so that cron can search it without asking
// anybody.
//
// Source: the system's zone database (/usr/share/zoneinfo) through Howard Hinnant's date library;
// after the last transition that a file lists (2037 in Debian's, often the past in "slim" files)
// the rule in the file's footer goes on until 2150, which the library itself does not read. Before
// 1970 the first offset holds, after 2150 the last one. Immutable after construction; share it
// between threads freely.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace headrace::schedule {

class CronZone {
public:
    // All values in seconds; "local" counts seconds of the wall clock since 1970-01-01 00:00 on
    // that clock. Spring: local times [seen, local_begin()) do not exist. Autumn: local times
    // [local_begin(), seen) come a second time.
    struct Stretch {
        std::int64_t begin;   // UTC, inclusive
        std::int64_t end;     // UTC, exclusive: the begin of the next stretch
        std::int64_t offset;  // local = UTC + offset
        std::int64_t seen;    // local: what clocks had reached just before `begin`

        std::int64_t local_begin() const { return begin + offset; }
    };

    // Throws Error invalid schedule.bad_zone for an unknown name, with a "did you mean".
    static std::shared_ptr<const CronZone> load(std::string_view name);

    const std::string& name() const { return name_; }

    const std::vector<Stretch>& stretches() const { return stretches_; }

    std::size_t index_at(std::int64_t utc) const;  // of the stretch that holds this instant

    std::int64_t offset_at(std::int64_t utc) const { return stretches_[index_at(utc)].offset; }

    struct Transition {
        std::int64_t at;      // UTC
        std::int64_t offset;  // from then on
    };

    CronZone(std::string name, std::int64_t first_offset, const std::vector<Transition>& transitions);

private:
    std::string name_;
    std::vector<Stretch> stretches_;
};

// The transitions that a POSIX TZ string ("CET-1CEST,M3.5.0,M10.5.0/3") makes in the years [first,
// last], in order. Empty for a zone without summer time and for a string that is not understood.
std::vector<CronZone::Transition> posix_transitions(std::string_view rule, int first_year, int last_year);

}  // namespace headrace::schedule
