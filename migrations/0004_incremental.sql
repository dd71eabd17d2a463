-- Incremental reads (src/pipeline/incremental.hpp): what a run was asked to read, what it read, and how far it came.
alter table etl_watermarks add column cursor_column text not null default '';
alter table etl_watermarks add column updated_at timestamptz not null default now();
alter table etl_runs add column backfill jsonb;       -- {"from", "to"}: a person asked for this range
alter table etl_runs add column cursor_range jsonb;   -- {"column", "from", "to", "largest"}: what the decided attempt read
