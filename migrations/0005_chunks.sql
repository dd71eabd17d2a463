-- What the attempts of an incremental run have put away (src/run/chunks.hpp): a later attempt goes on behind the last
-- chunk. Rows go with the decision of any run of the pipeline, since what they stand for may be older than that.
create table etl_chunks (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    chunk integer not null,                          -- 1, 2, 3 …
    pipeline text not null,
    attempt integer not null,                        -- that added it
    attempt_id uuid not null,
    range_from text not null,                        -- of the run's range, as its first attempt fixed it
    range_to text not null,
    through text not null,                           -- the last value of the cursor that is in
    rows_read bigint not null,                       -- of the run, up to here
    rows_written bigint not null,
    rows_rejected bigint not null,
    rows_filtered bigint not null,
    bytes_read bigint not null,
    bytes_written bigint not null,
    parts jsonb not null,                            -- [{output, table, size, rows, bytes, shape}] in headrace_staging
    created_at timestamptz not null default now(),
    primary key (run_id, chunk)
);
