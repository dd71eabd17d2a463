// How events change what is shown. Pure functions over plain objects; the reactive store calls them.
import { isFinal } from './status';
import type { Pipeline, Run, RunDetail, RunProgress, Step } from './types';

/** Order of two stream ids "milliseconds-sequence". */
export function compareIds(a: string, b: string): number {
  const [am = 0, as = 0] = a.split('-').map(Number);
  const [bm = 0, bs = 0] = b.split('-').map(Number);
  return am - bm || as - bs;
}

/** The event's run over the one we have. A finished run never goes back: a late event of an earlier state is dropped. */
export function mergeRun<T extends Run>(old: T, next: Run): T {
  if (isFinal(old.state) && !isFinal(next.state)) return old;
  if (old.attempt > next.attempt) return old;
  const merged = { ...old, ...next };
  // Members that are left out when they do not apply must not survive from the older state.
  for (const key of ['error', 'retryAt', 'reason'] as const) if (!(key in next)) delete merged[key];
  return merged;
}

export function mergeProgress<T extends Run>(old: T, p: RunProgress): T {
  if (isFinal(old.state) || p.attempt < old.attempt || (p.attempt === old.attempt && p.rowsRead < old.rowsRead)) return old;
  const { rowsRead, rowsWritten, rowsRejected, rowsFiltered, bytesRead, bytesWritten } = p;
  return { ...old, attempt: p.attempt, rowsRead, rowsWritten, rowsRejected, rowsFiltered, bytesRead, bytesWritten };
}

export function mergeStep(steps: Step[], step: Step): Step[] {
  const i = steps.findIndex((s) => s.attempt === step.attempt && s.step === step.step && s.startedAt === step.startedAt);
  if (i < 0) return [...steps, step];
  if (steps[i]?.finishedAt && !step.finishedAt) return steps;
  return steps.map((s, k) => (k === i ? step : s));
}

export const mergeDetail = (old: RunDetail, next: Run): RunDetail => mergeRun(old, next);

/** The pipeline after one of its runs changed: last run, strip and state. */
export function pipelineWithRun(p: Pipeline, run: Run): Pipeline {
  const known = p.recent.find((r) => r.id === run.id);
  const mini = { id: run.id, state: run.state, startedAt: run.startedAt, durationMs: run.durationMs, rows: run.rowsWritten };
  if (known && isFinal(known.state) && !isFinal(run.state)) return p;
  const recent = known ? p.recent.map((r) => (r.id === run.id ? mini : r)) : [...p.recent, mini].slice(-20);
  let lastRun = p.lastRun;
  if (run.state !== 'skipped' && (!lastRun || lastRun.id === run.id || lastRun.queuedAt <= run.queuedAt)) {
    lastRun = lastRun?.id === run.id ? mergeRun(lastRun, run) : run;
  }
  return { ...p, recent, lastRun, state: stateAfter(p, lastRun) };
}

function stateAfter(p: Pipeline, last: Run | null): Pipeline['state'] {
  if (p.paused) return 'paused';
  if (!last) return p.state;
  if (last.state === 'running' || last.state === 'committed') return 'running';
  if (last.state === 'failed' || last.state === 'quarantined') return 'failing';
  if (last.state === 'succeeded') return 'healthy';
  return p.state === 'running' || p.state === 'never' ? 'healthy' : p.state;
}

/** Rows that are neither written nor rejected nor filtered (yet). */
export const inFlight = (r: Run): number => r.rowsRead - r.rowsWritten - r.rowsRejected - r.rowsFiltered;
