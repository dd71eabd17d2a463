// Throughput of a run as columns for the chart: rates per second over seconds since the start.
import type { MetricSeries, RunProgress } from './types';

export interface Rates { t: number[]; read: (number | null)[]; written: (number | null)[] }

export const emptyRates = (): Rates => ({ t: [], read: [], written: [] });

export function toRates(m: MetricSeries): Rates {
  const column = (name: string): (number | null)[] => m.series.find((s) => s.name === name)?.v ?? m.t.map(() => null);
  return { t: [...m.t], read: [...column('rowsRead')], written: [...column('rowsWritten')] };
}

/** One more point from two progress events; without an earlier one, the mean since the start. */
export function addProgress(rates: Rates, before: RunProgress | null, p: RunProgress): Rates {
  const t = p.elapsedMs / 1000;
  if (t <= (rates.t.at(-1) ?? -1)) return rates;
  const earlier = before && before.attempt === p.attempt && before.elapsedMs < p.elapsedMs ? before : null;
  const seconds = Math.max(0.001, (p.elapsedMs - (earlier?.elapsedMs ?? 0)) / 1000);
  const rate = (now: number, then: number | undefined): number => Math.max(0, Math.round((now - (then ?? 0)) / seconds));
  const cut = rates.t.length >= 2000 ? 500 : 0;
  return {
    t: [...rates.t.slice(cut), t],
    read: [...rates.read.slice(cut), rate(p.rowsRead, earlier?.rowsRead)],
    written: [...rates.written.slice(cut), rate(p.rowsWritten, earlier?.rowsWritten)],
  };
}
