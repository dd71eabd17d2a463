-- Going back to a generation needs its manifest; a rollback is a run of its own, so that the history says who and why.
alter table etl_commits add column manifest jsonb;
alter table etl_runs drop constraint etl_runs_trigger_check;
alter table etl_runs add constraint etl_runs_trigger_check
    check (trigger in ('schedule', 'manual', 'api', 'retry', 'queue', 'republish', 'rollback'));

-- Attempts that ended by the death of their worker or were handed back at its shutdown. attempt - spared are the tries
-- that count against max_attempts.
alter table etl_runs add column spared integer not null default 0;
