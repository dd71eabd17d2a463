-- The ledger. Postgres decides, Redis follows (docs/commit-protocol.md).
-- Lock order in every transaction: run row, then output rows ascending by id.

-- One row. epoch rises when this Postgres is another one than before (failover, restore): see run/epoch.
create table etl_meta (
    only_row boolean primary key default true check (only_row),
    epoch integer not null default 1,
    system_identifier text not null default '',
    timeline text not null default '',
    redis_run_id text not null default ''
);
insert into etl_meta default values;

create table etl_pipelines (
    name text primary key,
    definition_version integer not null default 1,
    -- What lists and the scheduler need of the current definition, written by whoever loads the file:
    -- {description, owner, tags, enabled, schedule:{cron,timezone,jitterMs,catchup,catchupWindowMs,overlap}|null,
    --  source:{type,credential}, sinks:[{type,as,key,table,credential}], freshWithinMs, maxAttempts, timeoutMs}
    summary jsonb not null default '{}',
    removed boolean not null default false,          -- its file is gone
    paused boolean not null default false,
    paused_by text,
    paused_at timestamptz,
    pause_reason text,
    override_cron text,                              -- set on the page; null = as in the file
    override_timezone text,
    override_by text,
    override_at timestamptz,
    version bigint not null default 1,               -- ETag; every change adds one
    slots_through timestamptz not null default now(),-- every slot up to here is in etl_runs
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- Every text that a run ever used.
create table etl_definitions (
    pipeline text not null references etl_pipelines (name),
    version integer not null,
    text text not null,
    created_at timestamptz not null default now(),
    primary key (pipeline, version)
);

create table etl_runs (
    run_id uuid primary key,
    pipeline text not null references etl_pipelines (name),
    definition_version integer not null,
    slot timestamptz,                                -- planned time, of scheduled runs
    idempotency_key text,
    trigger text not null check (trigger in ('schedule', 'manual', 'api', 'retry', 'queue', 'republish')),
    triggered_by text not null default '',
    trigger_reason text,
    retry_of uuid,
    forced boolean not null default false,           -- guards do not apply
    queue text not null default 'etl',
    job_id text not null,                            -- last job sent for this run
    job_timestamp bigint not null default 0,         -- of a job that a foreign producer added; 0 = ours
    sends integer not null default 0,
    state text not null default 'queued' check (state in ('queued', 'running', 'committed', 'succeeded', 'failed',
        'cancelled', 'superseded', 'quarantined', 'skipped')),
    attempt integer not null default 0,
    max_attempts integer not null default 3,
    crash_count integer not null default 0,
    attempt_id uuid,                                 -- the fence: who may decide
    worker_id bigint,
    worker text,
    lease_until timestamptz,
    cancel_requested boolean not null default false,
    cancelled_by text,
    reason text,                                     -- why skipped, superseded, quarantined
    error jsonb,                                     -- {code, message, context[], hint, kind, step, transient, logSeq}
    rows_read bigint not null default 0,
    rows_written bigint not null default 0,
    rows_rejected bigint not null default 0,
    rows_filtered bigint not null default 0,
    bytes_read bigint not null default 0,
    bytes_written bigint not null default 0,
    proof text,                                      -- how the source proved that the read was complete
    peak_rss bigint,                                 -- bytes, of the worker process at the end
    queued_at timestamptz not null default now(),
    available_at timestamptz not null default now(), -- not before this: jitter and retry back-off
    started_at timestamptz,                          -- of the first attempt
    committed_at timestamptz,
    finished_at timestamptz,
    unique (pipeline, slot),
    unique (pipeline, idempotency_key),
    unique (queue, job_id, job_timestamp)
);
create index etl_runs_by_time on etl_runs (queued_at desc, run_id desc);
create index etl_runs_by_pipeline on etl_runs (pipeline, queued_at desc, run_id desc);
create index etl_runs_open on etl_runs (state) where state in ('queued', 'running', 'committed');

create table etl_attempts (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    attempt integer not null,
    attempt_id uuid not null,
    worker text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    outcome text check (outcome in ('succeeded', 'failed', 'retried', 'cancelled', 'superseded', 'died', 'released')),
    error jsonb,
    primary key (run_id, attempt)
);

create table etl_steps (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    attempt integer not null,
    step text not null,
    state text not null check (state in ('running', 'done', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz,
    rows bigint not null default 0,
    bytes bigint not null default 0,
    detail text,
    primary key (run_id, attempt, step)
);

create table etl_logs (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    seq bigint not null,                             -- 1, 2, 3 … within the run
    attempt integer not null,
    at timestamptz not null,
    level text not null check (level in ('debug', 'info', 'warn', 'error')),
    step text,
    message text not null,
    primary key (run_id, seq)
);

-- Throughput of a run: counters at points in time.
create table etl_progress (
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    attempt integer not null,
    at timestamptz not null,
    rows_read bigint not null,
    rows_written bigint not null,
    bytes_read bigint not null,
    bytes_written bigint not null,
    primary key (run_id, attempt, at)
);

create table etl_outputs (
    output_id bigint generated always as identity primary key,
    pipeline text not null references etl_pipelines (name),
    name text not null,                              -- "redis:cache:ch.top_dests"
    kind text not null,                              -- sink type
    removed boolean not null default false,
    owner uuid,                                      -- attempt that may decide next
    epoch integer not null default 0,
    seq bigint not null default 0,                   -- 0 = nothing decided yet
    run_id uuid,
    attempt_id uuid,
    manifest jsonb,
    payload bytea,
    rows bigint not null default 0,
    bytes bigint not null default 0,
    schema_hash text,
    published boolean not null default true,
    decided_at timestamptz,
    unique (pipeline, name)
);

create table etl_commits (
    run_id uuid not null,
    output_id bigint not null references etl_outputs (output_id),
    epoch integer not null,
    seq bigint not null,
    attempt_id uuid not null,
    rows bigint not null,
    bytes bigint not null,
    committed_at timestamptz not null default now(),
    primary key (run_id, output_id),
    unique (output_id, epoch, seq)
);

create table etl_watermarks (
    pipeline text not null,
    partition text not null default '',
    value text not null,
    run_id uuid not null,
    primary key (pipeline, partition)
);

create table etl_outbox (
    id bigint generated always as identity primary key,
    run_id uuid not null references etl_runs (run_id) on delete cascade,
    created_at timestamptz not null default now(),
    sent_at timestamptz
);
create index etl_outbox_unsent on etl_outbox (id) where sent_at is null;

create table etl_workers (
    worker_id bigint generated always as identity primary key, -- also the number of its advisory lock
    name text not null,
    host text not null,
    pid integer not null,
    concurrency integer not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    stopped_at timestamptz
);

create table etl_idempotency (
    actor text not null,
    key text not null,
    fingerprint text not null,
    status integer not null,
    headers jsonb not null default '{}',
    body text not null,
    created_at timestamptz not null default now(),
    primary key (actor, key)
);

create table etl_credentials (
    name text primary key,
    id uuid not null unique,
    kind text not null,
    settings jsonb not null default '{}',
    allowed_hosts text[] not null default '{}',
    current_version integer not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    updated_by text not null default ''
);

create table etl_credential_versions (
    credential_id uuid not null references etl_credentials (id) on delete cascade,
    version integer not null,
    blob bytea not null,                             -- envelope, docs/security.md
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    primary key (credential_id, version)
);

create table etl_keys (
    kek_id text primary key,
    check_value bytea not null,
    created_at timestamptz not null default now()
);

-- Append-only.
create table etl_audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    action text not null,
    object text not null,
    detail jsonb not null default '{}'
);
