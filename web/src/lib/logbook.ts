// The log of one run, read in ranges. Without a filter line i of the list is seq i + 1 and any range can be asked for;
// with a filter the list is read from its beginning as far as somebody looks. No browser, no framework: `changed` is called
// whenever something shown may differ.
import type { LogLevel, LogLine, LogPage, StepName } from './types';

export interface LogFilter { level?: LogLevel; step?: StepName; attempt?: number }
export interface LogQuery extends LogFilter { after?: number; before?: number; q?: string; limit?: number }
export type FetchLogs = (query: LogQuery) => Promise<LogPage>;

const pageSize = 200;
const chunk = 1000;
const keepPages = 60;
const levels: LogLevel[] = ['debug', 'info', 'warn', 'error'];

export class Logbook {
  /** Lines in the list as filtered. */
  total = 0;
  /** Last line of the run. */
  lastSeq = 0;
  firstError: number | null = null;
  loaded = false;
  filter: LogFilter = {};
  failed: unknown = null;

  #fetch: FetchLogs;
  #changed: () => void;
  #pages = new Map<number, (LogLine | undefined)[]>();
  #asked = new Set<number>();
  #items: LogLine[] = [];
  #more: Promise<void> | null = null;
  #turn = 0;

  constructor(fetch: FetchLogs, changed: () => void) {
    this.#fetch = fetch;
    this.#changed = changed;
  }

  get filtered(): boolean {
    return Boolean((this.filter.level && this.filter.level !== 'debug') || this.filter.step || this.filter.attempt);
  }

  async setFilter(filter: LogFilter): Promise<void> {
    this.filter = filter;
    this.#turn += 1;
    this.#items = [];
    this.#more = null;
    this.total = this.filtered ? 0 : this.lastSeq;
    await this.reload();
  }

  /** Reads the beginning (or the newest totals) again. */
  async reload(): Promise<void> {
    if (this.filtered) await this.#readMore();
    else await this.#readPage(0);
    this.loaded = true;
    this.#changed();
  }

  line(index: number): LogLine | undefined {
    if (this.filtered) return this.#items[index];
    return this.#pages.get(Math.floor(index / pageSize))?.[index % pageSize];
  }

  /** Fetches what is missing of the lines from…to (indexes, to is not included). */
  ensure(from: number, to: number): void {
    const end = Math.min(to, this.total);
    if (this.filtered) {
      if (end > this.#items.length) void this.#readMore().then(() => { if (this.filtered && this.#items.length < end && !this.failed) this.ensure(from, to); });
      return;
    }
    for (let p = Math.floor(from / pageSize); p * pageSize < end; p += 1) {
      const lines = this.#pages.get(p);
      const lo = Math.max(from, p * pageSize);
      const hi = Math.min(end, (p + 1) * pageSize);
      for (let i = lo; i < hi; i += 1) {
        if (!lines?.[i % pageSize]) {
          void this.#readPage(p);
          break;
        }
      }
    }
  }

  /** Live lines. A gap before them stays empty and is read when somebody looks there. */
  append(fromSeq: number, toSeq: number, lines: LogLine[]): void {
    if (toSeq <= this.lastSeq) return;
    const complete = this.#items.length === this.total;
    for (const l of lines) {
      if (l.seq <= this.lastSeq) continue;
      this.#place(l);
      if (l.level === 'error') this.firstError ??= l.seq;
      if (this.filtered && this.#fits(l)) {
        this.total += 1;
        if (complete && fromSeq <= this.lastSeq + 1) this.#items.push(l);
      }
    }
    this.lastSeq = toSeq;
    if (!this.filtered) this.total = toSeq;
    this.loaded = true;
    this.#changed();
  }

  /** There are lines up to `seq`, though they have not come here. */
  grow(seq: number): void {
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    if (!this.filtered) this.total = seq;
    this.#changed();
  }

  /** Where a line stands in the list; -1 when the filter hides it. */
  async indexOf(seq: number): Promise<number> {
    if (!this.filtered) return seq >= 1 && seq <= this.lastSeq ? seq - 1 : -1;
    while (this.#items.length < this.total && (this.#items.at(-1)?.seq ?? 0) < seq && !this.failed) await this.#readMore();
    let lo = 0;
    let hi = this.#items.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((this.#items[mid]?.seq ?? 0) < seq) lo = mid + 1; else hi = mid;
    }
    return this.#items[lo]?.seq === seq ? lo : -1;
  }

  /** Numbers of the lines that match, at most `limit` of them, and how many there are. */
  async search(q: string, limit = 1000): Promise<{ seqs: number[]; total: number }> {
    const page = await this.#fetch({ ...this.filter, q, after: 0, limit });
    return { seqs: page.items.map((l) => l.seq), total: page.total };
  }

  #fits(l: LogLine): boolean {
    const { level, step, attempt } = this.filter;
    return (!level || levels.indexOf(l.level) >= levels.indexOf(level)) && (!step || l.step === step) && (!attempt || l.attempt === attempt);
  }

  #place(l: LogLine): void {
    const p = Math.floor((l.seq - 1) / pageSize);
    let lines = this.#pages.get(p);
    if (!lines) {
      this.#pages.set(p, (lines = []));
      if (this.#pages.size > keepPages) this.#pages.delete(this.#pages.keys().next().value ?? p);
    }
    lines[(l.seq - 1) % pageSize] = l;
  }

  async #readPage(p: number): Promise<void> {
    if (this.#asked.has(p)) return;
    this.#asked.add(p);
    const turn = this.#turn;
    try {
      const page = await this.#fetch({ after: p * pageSize, limit: pageSize });
      for (const l of page.items) this.#place(l);
      this.#seen(page, turn);
    } catch (e) {
      this.failed = e;
    } finally {
      this.#asked.delete(p);
      this.#changed();
    }
  }

  #readMore(): Promise<void> {
    return (this.#more ??= this.#chunk(this.#turn).finally(() => { this.#more = null; this.#changed(); }));
  }

  async #chunk(turn: number): Promise<void> {
    try {
      const page = await this.#fetch({ ...this.filter, after: this.#items.at(-1)?.seq ?? 0, limit: chunk });
      if (turn !== this.#turn) return;
      this.#items.push(...page.items);
      this.#seen(page, turn);
      if (page.items.length === 0) this.total = this.#items.length;
    } catch (e) {
      if (turn === this.#turn) this.failed = e;
    }
  }

  #seen(page: LogPage, turn: number): void {
    this.failed = null;
    this.lastSeq = Math.max(this.lastSeq, page.lastSeq);
    this.firstError = page.firstError ?? this.firstError;
    if (turn === this.#turn) this.total = this.filtered ? Math.max(page.total, this.#items.length) : this.lastSeq;
  }
}
