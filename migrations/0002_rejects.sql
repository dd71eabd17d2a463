-- The first rows of an attempt that a step could not accept (`on_reject`), with the reason.
create table etl_rejects (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    attempt integer not null,
    row_number bigint not null,                      -- within the read, from 1
    step text not null,                              -- cast, not_null, unique …
    reason text not null,
    content text not null,                           -- the row as JSON when the step saw it, cut at 4 kB
    primary key (run_id, attempt, row_number)
);
