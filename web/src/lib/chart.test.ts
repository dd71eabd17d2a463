import { expect, test } from 'vitest';
import { axisSteps, linePath, nearest } from './chart';
import { diffLines } from './diff';
import { addProgress, emptyRates } from './series';
import type { RunProgress } from './types';

test('axes have round steps', () => {
  expect(axisSteps(11_800, 3)).toEqual([0, 5000, 10_000]);
  expect(axisSteps(104, 6, true)).toEqual([0, 30, 60, 90]);
  expect(axisSteps(0.8, 4, true)).toEqual([0, 0.2, 0.4, 0.6, 0.8]);
  expect(axisSteps(0, 3)).toEqual([0]);
});
test('the nearest point under the pointer', () => {
  expect([nearest([0, 1, 5], 2.9), nearest([0, 1, 5], 3.1), nearest([0, 1, 5], 99), nearest([7], 0)]).toEqual([1, 2, 2, 0]);
});
test('a gap in the figures is a gap in the line', () => {
  expect(linePath([0, 1, 2, 3], [1, null, 2, 3], (x) => x, (y) => y)).toBe('M0.0 1.0M2.0 2.0L3.0 3.0');
});
test('live rates are means since the event before; a new attempt starts anew', () => {
  const p = (attempt: number, elapsedMs: number, rowsRead: number): RunProgress => ({ id: 'r', pipeline: 'p', attempt, at: '', elapsedMs, rowsRead, rowsWritten: 0, rowsRejected: 0, rowsFiltered: 0, bytesRead: 0, bytesWritten: 0 });
  let rates = addProgress(emptyRates(), null, p(1, 1000, 500));
  rates = addProgress(rates, p(1, 1000, 500), p(1, 1500, 1500));
  rates = addProgress(rates, p(1, 1500, 1500), p(1, 1500, 1500)); // twice
  rates = addProgress(rates, p(1, 1500, 1500), p(2, 3000, 300));
  expect(rates.t).toEqual([1, 1.5, 3]);
  expect(rates.read).toEqual([500, 2000, 100]);
});
test('what changed in a definition', () => {
  expect(diffLines('a\nb\nc', 'a\nx\nc\nd').map((l) => l.mark + l.text)).toEqual([' a', '-b', '+x', ' c', '+d']);
});
