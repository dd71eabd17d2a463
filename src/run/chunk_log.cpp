#include "run/chunk_log.hpp"

namespace headrace::run {

void ChunkLog::add(Chunk& chunk) {
    chunk.number = static_cast<int>(count_) + 1;
    for (;;) {
        try {
            if (!ledger_.add_chunk(run_id_, attempt_id_, chunk)) {
                throw Error(ErrorKind::cancelled, "run.fenced", "another attempt has taken over");
            }
            ++count_;
            return;
        } catch (const postgres::CommitUnknown&) {
            continue;  // the same chunk again: it waits for the old backend, and tells
        }
    }
}

}  // namespace headrace::run
