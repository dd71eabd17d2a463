import { describe, expect, test } from 'vitest';
import { Logbook, type LogQuery } from './logbook';
import type { LogLine, LogPage } from './types';

const line = (seq: number): LogLine => ({ seq, at: '2026-11-21T18:00:00.000Z', level: seq % 100 === 0 ? 'error' : 'info', step: seq % 2 ? 'read' : 'stage', attempt: 1, message: `line ${seq}` });

/** A server with `size` lines that keeps what it was asked for. */
function server(size: number) {
  const asked: LogQuery[] = [];
  const state = { size, broken: false };
  const fetch = async (q: LogQuery): Promise<LogPage> => {
    asked.push(q);
    await Promise.resolve();
    if (state.broken) throw new Error('away');
    const all = Array.from({ length: state.size }, (_, i) => line(i + 1)).filter((l) => (!q.level || q.level !== 'error' || l.level === 'error') && (!q.step || l.step === q.step) && (!q.q || l.message.includes(q.q)));
    return { items: all.filter((l) => l.seq > (q.after ?? 0)).slice(0, q.limit), total: all.length, lastSeq: state.size, firstError: state.size >= 100 ? 100 : null };
  };
  return { asked, state, fetch };
}
const settle = async (): Promise<void> => { for (let i = 0; i < 60; i += 1) await Promise.resolve(); };

describe('without a filter', () => {
  test('a far range costs one request, not the way there', async () => {
    const s = server(1_000);
    const book = new Logbook(s.fetch, () => undefined);
    await book.reload();
    book.ensure(810, 850);
    book.ensure(815, 855); // the same page again while it is on its way
    await settle();
    expect(book.line(820)?.seq).toBe(821);
    expect(book.line(400)).toBeUndefined();
    expect(s.asked.map((q) => q.after)).toEqual([0, 800]);
  });
  test('a gap in the live lines is found and filled when somebody looks', async () => {
    const s = server(10);
    const book = new Logbook(s.fetch, () => undefined);
    await book.reload();
    s.state.size = 30;
    book.append(21, 30, Array.from({ length: 10 }, (_, i) => line(21 + i)));
    expect([book.total, book.line(14), book.line(25)?.seq]).toEqual([30, undefined, 26]);
    book.ensure(0, 30);
    await settle();
    expect(Array.from({ length: 30 }, (_, i) => book.line(i)?.seq)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });
  test('lines that come twice change nothing', async () => {
    const s = server(10);
    let changes = 0;
    const book = new Logbook(s.fetch, () => { changes += 1; });
    await book.reload();
    const before = changes;
    book.append(5, 10, [line(5), line(10)]);
    expect([book.total, changes]).toEqual([10, before]);
  });
  test('the end of a run may be known before its lines', async () => {
    const s = server(10);
    const book = new Logbook(s.fetch, () => undefined);
    await book.reload();
    s.state.size = 12;
    book.grow(12);
    book.ensure(0, 12);
    await settle();
    expect(book.line(11)?.seq).toBe(12);
  });
  test('a broken request is told and can be repeated', async () => {
    const s = server(10);
    s.state.broken = true;
    const book = new Logbook(s.fetch, () => undefined);
    await book.reload();
    expect(book.failed).toBeInstanceOf(Error);
    s.state.broken = false;
    await book.reload();
    expect([book.failed, book.total]).toEqual([null, 10]);
  });
});

describe('with a filter', () => {
  test('reads on as far as somebody looks, and no further', async () => {
    const s = server(5_000);
    const book = new Logbook(s.fetch, () => undefined);
    await book.reload();
    await book.setFilter({ step: 'read' });
    expect([book.total, book.line(999)?.seq, book.line(1_000)]).toEqual([2_500, 1_999, undefined]);
    book.ensure(1_500, 1_520);
    await settle();
    expect(book.line(1_510)?.seq).toBe(3_021);
    expect(s.asked).toHaveLength(3);
  });
  test('where a line stands, also when it is hidden', async () => {
    const s = server(5_000);
    const book = new Logbook(s.fetch, () => undefined);
    await book.setFilter({ step: 'read' });
    expect([await book.indexOf(4_001), await book.indexOf(4_000), await book.indexOf(9_999)]).toEqual([2_000, -1, -1]);
  });
  test('live lines join only when they fit', async () => {
    const s = server(100);
    const book = new Logbook(s.fetch, () => undefined);
    await book.setFilter({ level: 'error' });
    book.append(101, 200, Array.from({ length: 100 }, (_, i) => line(101 + i)));
    expect([book.total, book.lastSeq, book.line(1)?.seq]).toEqual([2, 200, 200]);
  });
  test('an answer to an older filter is dropped', async () => {
    const s = server(300);
    const book = new Logbook(s.fetch, () => undefined);
    const slow = book.setFilter({ step: 'read' });
    await book.setFilter({ level: 'error' });
    await slow;
    expect([book.total, book.line(0)?.seq]).toEqual([3, 100]);
  });
});
