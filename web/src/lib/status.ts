// What a state looks like: a word, an icon and a tone. Never colour alone.
import type { Pipeline, PipelineState, Run } from './types';

export type Tone = 'ok' | 'bad' | 'run' | 'warn' | 'idle';
export type Icon = 'check' | 'cross' | 'spin' | 'wait' | 'pause' | 'stop' | 'skip' | 'clock' | 'dot' | 'lock' | 'retry';
export interface Look { word: string; icon: Icon; tone: Tone }

const runLooks: Record<Run['state'], Look> = {
  queued: { word: 'queued', icon: 'wait', tone: 'idle' },
  running: { word: 'running', icon: 'spin', tone: 'run' },
  committed: { word: 'publishing', icon: 'spin', tone: 'run' },
  succeeded: { word: 'succeeded', icon: 'check', tone: 'ok' },
  failed: { word: 'failed', icon: 'cross', tone: 'bad' },
  cancelled: { word: 'cancelled', icon: 'stop', tone: 'idle' },
  superseded: { word: 'superseded', icon: 'skip', tone: 'idle' },
  quarantined: { word: 'quarantined', icon: 'lock', tone: 'bad' },
  skipped: { word: 'skipped', icon: 'skip', tone: 'idle' },
};

const pipelineLooks: Record<PipelineState, Look> = {
  failing: { word: 'failing', icon: 'cross', tone: 'bad' },
  running: { word: 'running', icon: 'spin', tone: 'run' },
  late: { word: 'late', icon: 'clock', tone: 'warn' },
  paused: { word: 'paused', icon: 'pause', tone: 'idle' },
  healthy: { word: 'healthy', icon: 'check', tone: 'ok' },
  never: { word: 'no runs yet', icon: 'dot', tone: 'idle' },
};

type RunLike = Pick<Run, 'state'> & Partial<Pick<Run, 'retryAt' | 'attempt' | 'cancelRequested'>>;

export const isRetrying = (run: RunLike): boolean => run.state === 'queued' && (run.attempt ?? 0) > 0;

export function runLook(run: RunLike): Look {
  if (isRetrying(run)) return { word: 'retrying', icon: 'retry', tone: 'warn' };
  if (run.cancelRequested && (run.state === 'running' || run.state === 'queued')) return { word: 'cancelling', icon: 'spin', tone: 'warn' };
  return runLooks[run.state];
}

export function pipelineLook(p: Pick<Pipeline, 'state' | 'lastRun'>): Look {
  if (p.lastRun && p.state !== 'paused' && isRetrying(p.lastRun)) return runLook(p.lastRun);
  return pipelineLooks[p.state];
}

export const stateLook = (state: PipelineState): Look => pipelineLooks[state];

export const isFinal = (state: Run['state']): boolean => !['queued', 'running', 'committed'].includes(state);
export const isFailed = (state: Run['state']): boolean => state === 'failed' || state === 'quarantined';

/** Trouble first: what needs a person, then what moves, then what is well, then what rests. */
export function rank(p: Pick<Pipeline, 'state' | 'lastRun'>): number {
  if (p.state === 'failing') return 0;
  if (p.state === 'late') return 1;
  if (p.lastRun && p.state !== 'paused' && isRetrying(p.lastRun)) return 2;
  return { running: 3, healthy: 4, never: 5, paused: 6 }[p.state];
}

/** Names in trouble-first order. */
export function troubleFirst(items: Iterable<Pipeline>): string[] {
  return [...items].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1)).map((p) => p.name);
}

/** How many of the names shown would stand elsewhere, or are new or gone. */
export function orderChanges(shown: string[], wanted: string[]): number {
  const known = new Set(shown);
  const next = new Set(wanted);
  const added = wanted.filter((n) => !known.has(n)).length;
  const gone = shown.filter((n) => !next.has(n)).length;
  // The fewest rows that must move = all but the longest run of rows that keep their order.
  const place = new Map(wanted.map((n, i) => [n, i]));
  const tails: number[] = [];
  for (const n of shown) {
    const at = place.get(n);
    if (at === undefined) continue;
    let lo = 0;
    let hi = tails.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if ((tails[mid] ?? 0) < at) lo = mid + 1; else hi = mid;
    }
    tails[lo] = at;
  }
  return added + gone + (shown.length - gone - tails.length);
}
