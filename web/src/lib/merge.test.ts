import { describe, expect, test } from 'vitest';
import { compareIds, inFlight, mergeProgress, mergeRun, mergeStep, pipelineWithRun } from './merge';
import { orderChanges, pipelineLook, runLook, troubleFirst } from './status';
import type { Pipeline, Run, RunProgress, Step } from './types';

const base: Run = {
  id: 'r1', pipeline: 'p', state: 'running', trigger: { kind: 'schedule', by: null }, attempt: 1, tries: 1, maxAttempts: 3, crashCount: 0, cancelRequested: false,
  queuedAt: '2026-11-21T18:00:00.000Z', startedAt: '2026-11-21T18:00:01.000Z', finishedAt: null, durationMs: null,
  rowsRead: 100, rowsWritten: 90, rowsRejected: 2, rowsFiltered: 3, bytesRead: 1, bytesWritten: 1, worker: 'w',
};
const run = (more: Partial<Run>): Run => ({ ...base, ...more });
const pipeline = (more: Partial<Pipeline>): Pipeline => ({
  name: 'p', description: '', owner: '', tags: [], enabled: true, paused: false, pausedBy: null, pausedAt: null, pauseReason: null, state: 'healthy',
  schedule: null, source: { type: 'clickhouse', credential: null }, sinks: [], recent: [], lastRun: null, p50Ms: null, p95Ms: null, version: 1, warnings: [], ...more,
});
const error = { code: 'source.incomplete', message: '', context: [], hint: '', kind: 'transient', step: 'read', transient: true, logSeq: 4 } as const;

test('stream ids are numbers, not text', () => {
  expect(compareIds('1795287948075-10', '1795287948075-9')).toBeGreaterThan(0);
  expect(compareIds('999-0', '1000-0')).toBeLessThan(0);
});

describe('runs', () => {
  test('a finished run never runs again, whatever comes late', () => {
    const done = run({ state: 'succeeded', finishedAt: '2026-11-21T18:01:00.000Z' });
    expect(mergeRun(done, run({ state: 'running' }))).toBe(done);
    expect(mergeProgress(done, { ...progress, rowsRead: 900 })).toBe(done);
  });
  test('an older attempt does not overwrite a newer one', () => {
    const second = run({ attempt: 2 });
    expect(mergeRun(second, run({ attempt: 1, state: 'running' }))).toBe(second);
    expect(mergeProgress(second, progress)).toBe(second);
  });
  test('the error of the attempt before goes when the next one starts', () => {
    const waiting = run({ state: 'queued', error: { ...error, context: [] }, retryAt: '2026-11-21T18:05:00.000Z' });
    const next = mergeRun(waiting, run({ state: 'running', attempt: 2 }));
    expect('error' in next || 'retryAt' in next).toBe(false);
  });
  test('progress only grows', () => {
    expect(mergeProgress(base, progress).rowsRead).toBe(200);
    expect(mergeProgress(run({ rowsRead: 300 }), progress).rowsRead).toBe(300);
  });
  test('the row account', () => expect(inFlight(base)).toBe(5));
  test('retrying and cancelling are words of their own', () => {
    expect(runLook(run({ state: 'queued', attempt: 1 })).word).toBe('retrying');
    expect(runLook(run({ state: 'queued', attempt: 0 })).word).toBe('queued');
    expect(runLook(run({ cancelRequested: true })).word).toBe('cancelling');
    expect(runLook(run({ cancelRequested: true, state: 'cancelled' })).word).toBe('cancelled');
  });
});
const progress: RunProgress = { id: 'r1', pipeline: 'p', attempt: 1, at: '', elapsedMs: 5000, rowsRead: 200, rowsWritten: 180, rowsRejected: 0, rowsFiltered: 0, bytesRead: 0, bytesWritten: 0 };

test('steps: replaced by attempt and start, and never opened again', () => {
  const step: Step = { attempt: 1, step: 'read', state: 'running', startedAt: 'a', finishedAt: null, rows: 0, bytes: 0, detail: '' };
  const closed: Step = { ...step, state: 'done', finishedAt: 'b' };
  expect(mergeStep([step], closed)).toEqual([closed]);
  expect(mergeStep([closed], step)).toEqual([closed]);
  expect(mergeStep([closed], { ...step, attempt: 2 })).toHaveLength(2);
});

describe('pipelines', () => {
  test('a new run moves the state, the strip and the last run', () => {
    let p = pipeline({ recent: Array.from({ length: 20 }, (_, i) => ({ id: `o${i}`, state: 'succeeded' as const, startedAt: null, durationMs: 1, rows: 1 })) });
    p = pipelineWithRun(p, base);
    expect([p.state, p.recent.length, p.recent.at(-1)?.id, p.lastRun?.id]).toEqual(['running', 20, 'r1', 'r1']);
    p = pipelineWithRun(p, run({ state: 'failed', finishedAt: 'x', error: { ...error, context: [] } }));
    expect([p.state, p.recent.at(-1)?.state, p.recent.length]).toEqual(['failing', 'failed', 20]);
    p = pipelineWithRun(p, base); // late event
    expect([p.state, p.recent.at(-1)?.state]).toEqual(['failing', 'failed']);
  });
  test('a skipped slot is no last run, and paused stays paused', () => {
    const p = pipelineWithRun(pipeline({ paused: true, state: 'paused', lastRun: run({ id: 'r0', state: 'succeeded' }) }), run({ state: 'skipped' }));
    expect([p.state, p.lastRun?.id]).toEqual(['paused', 'r0']);
  });
  test('trouble first: failing, late, retrying, running, well, paused', () => {
    const list = [
      pipeline({ name: 'e' }), pipeline({ name: 'f', state: 'paused' }), pipeline({ name: 'd', state: 'running' }),
      pipeline({ name: 'c', lastRun: run({ state: 'queued', attempt: 1 }) }), pipeline({ name: 'b', state: 'late' }), pipeline({ name: 'a', state: 'failing' }),
    ];
    expect(troubleFirst(list)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(pipelineLook(list[3]!).word).toBe('retrying');
  });
  test('the number on the pill is what would move', () => {
    expect(orderChanges(['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd'])).toBe(0);
    expect(orderChanges(['a', 'b', 'c', 'd'], ['d', 'a', 'b', 'c'])).toBe(1);
    expect(orderChanges(['a', 'b', 'c'], ['c', 'b', 'a'])).toBe(2);
    expect(orderChanges(['a', 'b'], ['b', 'x'])).toBe(2);
  });
});
