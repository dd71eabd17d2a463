// Invented data for mock/server.mjs: development of the page only.
const zone = 'Europe/Kyiv';

/** Small seeded generator, so that two starts show the same page. */
export function seeded(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const iso = (ms) => new Date(ms).toISOString();

export function uuid(ms, rnd) {
  const t = Math.floor(ms).toString(16).padStart(12, '0');
  const hex = (n) => Array.from({ length: n }, () => Math.floor(rnd() * 16).toString(16)).join('');
  return `${t.slice(0, 8)}-${t.slice(8)}-7${hex(3)}-a${hex(3)}-${hex(12)}`;
}

const minute = 60_000;
const hour = 60 * minute;

/** name, source, credential, sinks, cron, text, period, typical duration, typical rows, last state, extra */
const list = [
  ['bq.reference', 'bigquery', 'bq', [['redis', 'json', 'cache:bq.reference']], '0 * * * *', 'every hour', hour, 21_000, 18_400, 'succeeded'],
  ['bq.projects', 'bigquery', 'bq', [['postgres', 'merge', 'public.projects'], ['redis', 'hash', 'cache:bq.projects']], '*/30 * * * *', 'every 30 minutes', 30 * minute, 64_000, 412_000, 'failed'],
  ['ch.top_dests', 'clickhouse', 'ch', [['redis', 'zset', 'cache:ch.top_dests']], '*/5 * * * *', 'every 5 minutes', 5 * minute, 3_800, 250, 'running'],
  ['yespo.OVAGO', 'yespo', 'yespo-ovago', [['redis', 'json', 'cache:yespo.OVAGO']], '15 */2 * * *', 'every 2 hours at minute 15', 2 * hour, 181_000, 96_300, 'retrying'],
  ['yespo.brand_b', 'yespo', 'yespo-brand-b', [['redis', 'json', 'cache:yespo.brand_b']], '45 */2 * * *', 'every 2 hours at minute 45', 2 * hour, 92_000, 41_200, 'late'],
  ['ch.daily_margin', 'clickhouse', 'ch', [['postgres', 'replace', 'public.daily_margin']], '20 6 * * *', 'at 06:20', 24 * hour, 48_000, 88_100, 'succeeded'],
  ['ch.search_funnel', 'clickhouse', 'ch', [['redis', 'list', 'cache:ch.search_funnel']], '*/15 * * * *', 'every 15 minutes', 15 * minute, 9_200, 1_204_000, 'succeeded'],
  ['ch.routes', 'clickhouse', 'ch', [['redis', 'rows', 'cache:ch.routes:*']], '10 * * * *', 'every hour at minute 10', hour, 31_000, 640_000, 'succeeded'],
  ['bq.fx_rates', 'bigquery', 'bq', [['redis', 'hash', 'cache:bq.fx_rates']], '0 4 * * 1-5', 'at 04:00, Monday to Friday', 24 * hour, 4_100, 180, 'succeeded'],
  ['bq.campaigns', 'bigquery', 'bq', [['postgres', 'merge', 'public.campaigns']], '*/20 * * * *', 'every 20 minutes', 20 * minute, 12_900, 7_300, 'paused'],
  ['bq.audience_overlap', 'bigquery', 'bq', [['redis', 'json', 'cache:bq.audience_overlap']], '30 2 * * *', 'at 02:30', 24 * hour, 410_000, 2_310_000, 'succeeded'],
  ['ch.cancellations', 'clickhouse', 'ch', [['redis', 'json', 'cache:ch.cancellations']], '0 9 * * 1', 'at 09:00 on Monday', 7 * 24 * hour, 15_000, 12_000, 'never'],
];

export const zoneName = zone;

export const incomplete = {
  code: 'source.incomplete',
  message: 'The result ended after 286,720 of 412,016 rows.',
  context: ['pipeline bq.projects', 'source bigquery: stream 3 of 4', 'the peer closed the connection inside a batch'],
  hint: 'Nothing was published. It is tried again by itself.',
  kind: 'transient', step: 'read', transient: true, logSeq: 184,
};
export const limited = {
  code: 'source.unavailable', message: 'The source answered 429, too many requests.',
  context: ['pipeline yespo.OVAGO', 'source yespo: page 184'], hint: 'It is tried again by itself.',
  kind: 'transient', step: 'read', transient: true, logSeq: 61,
};

export function definitionOf(p) {
  const sinks = p.sinks.map((s) => (s.type === 'redis'
    ? `  - type: redis\n    as: ${s.as}\n    key: ${s.key}`
    : `  - type: postgres\n    as: ${s.as}\n    table: ${s.table}`)).join('\n');
  return `name: ${p.name}
description: ${p.description}
owner: ${p.owner}
schedule:
  cron: "${p.fileCron}"
  timezone: ${zone}
  overlap: skip
source:
  type: ${p.source.type}
  credential: ${p.source.credential}
  query: |
    SELECT id, name, updated_at
    FROM n8n_oss.${p.name.split('.')[1]}
columns:
  id: int64
  name: string
  updated_at: timestamp
checks:
  min_rows: 100
  max_drop: 40%
  unique: [id]
sinks:
${sinks}
`;
}

export function makeRun(p, at, duration, rows, state, rnd, kind = 'schedule') {
  const bad = state === 'failed' || state === 'quarantined';
  const ran = state !== 'skipped' && state !== 'queued';
  return {
    id: uuid(at, rnd), pipeline: p.name, state,
    trigger: kind === 'manual' ? { kind, by: 'ana', reason: 'new campaign' } : { kind, by: null },
    ...(kind === 'schedule' ? { slot: iso(at) } : {}),
    attempt: ran ? (bad ? 3 : 1) : 0, get tries() { return this.attempt; }, maxAttempts: 3, crashCount: 0, cancelRequested: state === 'cancelled',
    queuedAt: iso(at), startedAt: ran ? iso(at + 900) : null, finishedAt: ran ? iso(at + 900 + duration) : null,
    durationMs: ran ? duration : null,
    rowsRead: ran ? rows : 0, rowsWritten: ran && !bad && state !== 'cancelled' ? rows - Math.floor(rows * 0.002) : 0,
    rowsRejected: ran ? Math.floor(rows * 0.0007) : 0, rowsFiltered: ran ? Math.floor(rows * 0.002) - Math.floor(rows * 0.0007) : 0,
    bytesRead: ran ? rows * 113 : 0, bytesWritten: ran && !bad ? rows * 87 : 0,
    worker: ran ? 'worker-1' : null,
    ...(state === 'skipped' ? { reason: 'The run before was still running.' } : {}),
    ...(bad ? { error: { ...incomplete, context: [`pipeline ${p.name}`, ...incomplete.context.slice(1)], message: p.name === 'bq.projects' ? incomplete.message : 'The source did not answer within 30 s.', code: p.name === 'bq.projects' ? 'source.incomplete' : 'source.timeout' } } : {}),
  };
}

/** All pipelines and about `total` runs, oldest first. */
export function makeWorld(now, total = 10_000) {
  const pipelines = new Map();
  const runs = [];
  list.forEach(([name, type, credential, sinks, cron, text, period, typical, rows, last], i) => {
    const rnd = seeded(1000 + i);
    const p = {
      name, description: `${text.slice(0, 1).toUpperCase()}${text.slice(1)}: ${name.split('.')[1].replace('_', ' ')} for the dashboard`,
      owner: 'marketing', tags: [type, rows > 100_000 ? 'large' : 'small'], enabled: true,
      paused: last === 'paused', pausedBy: last === 'paused' ? 'ana' : null, pausedAt: last === 'paused' ? iso(now - 74 * hour) : null,
      pauseReason: last === 'paused' ? 'ERP upgrade' : null, fileCron: cron,
      cron, timezone: zone, text, overriddenBy: null, overriddenAt: null, period, typical, rows,
      source: { type, credential },
      sinks: sinks.map(([t, as, target]) => (t === 'redis' ? { type: t, as, key: target } : { type: t, as, table: target })),
      version: 3 + i, warnings: [], late: last === 'late', runs: [],
    };
    if (name === 'ch.search_funnel') Object.assign(p, { cron: '*/15 7-23 * * *', text: 'every 15 minutes from 07:00 to 23:59', overriddenBy: 'bob', overriddenAt: iso(now - 26 * hour) });
    if (name === 'ch.routes') p.warnings.push('`max_drop` is not set: a much smaller result would be published.');
    pipelines.set(name, p);
    if (last === 'never') return;
    const count = Math.min(Math.ceil(total / list.length), Math.floor((90 * 24 * hour) / period));
    const newest = now - (last === 'late' ? 5 * hour : last === 'running' || last === 'retrying' ? period * 0.4 : period * (0.2 + rnd() * 0.6));
    for (let k = count; k >= 0; k -= 1) {
      const at = newest - k * period;
      const dice = rnd();
      let state = dice < 0.02 ? 'failed' : dice < 0.028 ? 'cancelled' : dice < 0.04 ? 'skipped' : dice < 0.043 ? 'superseded' : 'succeeded';
      if (k === 0) state = last === 'failed' ? 'failed' : 'succeeded';
      if (k === 1 && last === 'failed') state = 'failed';
      if (k === 1 && name === 'bq.audience_overlap') state = 'quarantined';
      const run = makeRun(p, at, Math.round(typical * (0.75 + rnd() * 0.5) * (state === 'failed' ? 1.4 : 1)), Math.round(rows * (0.9 + rnd() * 0.2)), state, rnd, rnd() < 0.04 ? 'manual' : 'schedule');
      p.runs.push(run);
      runs.push(run);
    }
    if (last === 'retrying') {
      const run = p.runs.at(-1);
      Object.assign(run, { state: 'queued', attempt: 2, finishedAt: null, durationMs: null, rowsWritten: 0, bytesWritten: 0, error: limited, retryAt: iso(now + 40 * minute) });
    }
  });
  runs.sort((a, b) => (a.queuedAt < b.queuedAt ? -1 : 1));
  return { pipelines, runs };
}

const levels = ['info', 'info', 'info', 'debug', 'info', 'info'];
const words = {
  read: (n) => `batch ${n}: 4096 rows, 460.8 kB in ${20 + (n * 7) % 31} ms`,
  transform: (n) => `batch ${n}: 4096 rows in, ${4096 - (n % 3)} out`,
  stage: (n) => `batch ${n}: staged, 312.4 kB`,
};

/** Line `seq` (1…) of a run whose log has `total` lines: computed, never stored. */
export function logLine(run, seq, total) {
  const start = Date.parse(run.startedAt ?? run.queuedAt);
  const span = run.durationMs ?? 60_000;
  const at = iso(start + (span * seq) / total);
  const attempt = Math.max(1, Math.ceil((seq / total) * Math.max(1, run.attempt)));
  const make = (level, step, message) => ({ seq, at, level, step, attempt, message });
  if (seq === 1) return make('info', 'resolve', `definition version 4, credential resolved, worker ${run.worker}`);
  if (seq === 2) return make('info', 'connect', 'connected, TLS 1.3, 18 ms');
  if (seq === 3) return make('info', 'query', 'query accepted, job 9f2c-31, 412,016 rows promised');
  if (run.error && seq === run.error.logSeq) return make('error', run.error.step, `${run.error.code}: ${run.error.message} ${run.error.context.at(-1)}`);
  if (run.error && (seq === total)) return make('error', run.error.step, `attempt ${run.attempt} failed: ${run.error.message}`);
  if (seq % 97 === 0) return make('warn', 'transform', `row ${seq * 4096 + 17}: "updated_at" is not a time, rejected`);
  if (!run.error && seq === total - 1) return make('info', 'commit', 'decided: generation 3.118');
  if (!run.error && seq === total) return make('info', 'publish', `published ${run.rowsWritten} rows`);
  const step = ['read', 'transform', 'stage'][seq % 3];
  return make(levels[seq % levels.length], step, words[step](Math.floor(seq / 3)));
}

export const logTotal = (run) => {
  if (run.liveLog) return run.liveLog.length;
  if (run.state === 'skipped' || run.state === 'superseded') return 0;
  if (run.state === 'queued' && run.attempt === 0) return 0;
  return run.error ? (run.pipeline === 'bq.projects' ? 50_000 : 220) : Math.max(12, Math.min(2_000, Math.ceil(run.rowsRead / 1_300)));
};

export function stepsOf(run) {
  if (run.liveSteps) return run.liveSteps;
  if (!run.startedAt) return [];
  const start = Date.parse(run.startedAt);
  const span = run.durationMs ?? 60_000;
  const out = [];
  const attempts = Math.max(1, run.attempt);
  for (let n = 1; n <= attempts; n += 1) {
    const from = start + (span * (n - 1)) / attempts;
    const len = (span / attempts) * (attempts > 1 && n < attempts ? 0.82 : 1);
    const bad = Boolean(run.error);
    const plan = bad
      ? [['resolve', 0, 0.01], ['connect', 0.01, 0.05], ['query', 0.05, 0.16], ['read', 0.16, 1], ['transform', 0.18, 1], ['stage', 0.2, 1]]
      : [['resolve', 0, 0.01], ['connect', 0.01, 0.05], ['query', 0.05, 0.16], ['read', 0.16, 0.84], ['transform', 0.18, 0.85], ['check', 0.18, 0.86], ['stage', 0.2, 0.9], ['commit', 0.9, 0.94], ['publish', 0.94, 1]];
    for (const [step, a, b] of plan) {
      const moving = ['read', 'transform', 'check', 'stage'].includes(step);
      out.push({
        attempt: n, step, state: bad && step === 'read' ? 'failed' : 'done',
        startedAt: iso(from + len * a), finishedAt: iso(from + len * b),
        rows: moving ? run.rowsRead : 0, bytes: moving ? run.bytesRead : 0,
        detail: step === 'query' ? 'job 9f2c-31' : step === 'publish' ? 'generation 3.118' : '',
      });
    }
  }
  return out;
}
