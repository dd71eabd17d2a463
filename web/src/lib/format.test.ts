import { describe, expect, test } from 'vitest';
import { ago, bytes, clock, count, duration, shortId, span, splitMatches, until, zoneGap } from './format';

const now = Date.parse('2026-11-21T18:00:00.000Z');
const at = (ms: number): string => new Date(now + ms).toISOString();

describe('numbers', () => {
  test.each([[0, '0'], [999, '999'], [1000, '1 k'], [1234, '1.2 k'], [9949, '9.9 k'], [9951, '10 k'], [412_016, '412 k'], [999_499, '999 k'], [999_500, '1 M'], [12_100_000, '12 M'], [3e12, '3000 G']])('count %d', (n, text) => {
    expect(count(n)).toBe(text);
  });
  test.each([[0, '0 B'], [999, '999 B'], [46_800_000, '46.8 MB'], [999_499_999, '999 MB'], [1e9, '1 GB']])('bytes %d', (n, text) => {
    expect(bytes(n)).toBe(text);
  });
  test('unknown is a dash, never a zero', () => {
    expect([count(null), bytes(undefined), duration(null), ago(null, now), until(undefined, now)]).toEqual(Array(5).fill('–'));
  });
});

describe('times', () => {
  test.each([[0, '0 ms'], [999, '999 ms'], [1000, '1s'], [9940, '9.9s'], [9960, '10s'], [59_499, '59s'], [59_600, '1m 00s'], [70_123, '1m 10s'], [3_599_600, '1h 00m'], [7_265_000, '2h 01m']])('duration %d', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
  test('spans use the unit a person would', () => {
    expect([span(59_000), span(240_000), span(25 * 3_600_000), span(3 * 86_400_000)]).toEqual(['59 s', '4 min', '25 h', '3 d']);
  });
  test('past and future', () => {
    expect(ago(at(-240_000), now)).toBe('4 min ago');
    expect(ago(at(300), now)).toBe('just now'); // the clocks of two machines differ
    expect(until(at(660_000), now)).toBe('in 11 min');
    expect(until(at(-3_600_000), now)).toBe('due 60 min ago');
  });
  test('a schedule is shown in its own zone, and what that is here', () => {
    expect(clock('2026-11-21T18:15:00Z', 'Europe/Kyiv')).toBe('Sat 21 Nov 20:15');
    expect(zoneGap('Asia/Tokyo', '2026-11-21T18:15:00Z')).not.toBe('');
    expect(zoneGap(Intl.DateTimeFormat().resolvedOptions().timeZone, '2026-11-21T18:15:00Z')).toBe('');
    expect(clock('2026-11-21T18:15:00Z', 'No/Where')).toBe('2026-11-21T18:15:00Z');
  });
});

test('short ids differ where UUIDs of the same second do', () => {
  expect(shortId('01935f2a-7c1e-7abc-8def-0123456789ab')).toBe('6789ab');
});

test('matches of a search', () => {
  expect(splitMatches('COPY failed: copy', 'copy')).toEqual(['', 'COPY', ' failed: ', 'copy', '']);
  expect(splitMatches('a.b', '.')).toEqual(['a', '.', 'b']);
  expect(splitMatches('abc', '')).toEqual(['abc']);
});
