// A mock of the API, for developing the page and for the page's own tests. It invents its data, keeps it in memory and
// has no security at all: never let anybody but a developer reach it. The real server is `headrace api`.
//
//   node mock/server.mjs [--port 4173] [--quiet] [--runs 10000]
//
// It also serves web/dist with the headers of the real server. --quiet: nothing runs by itself.
// POST /mock/drop cuts all event streams; POST /mock/logout forgets the sessions; GET /mock/streams counts streams.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { definitionOf, incomplete, iso, logLine, logTotal, makeRun, makeWorld, seeded, stepsOf, uuid, zoneName } from './data.mjs';

const arg = (name, other) => { const i = process.argv.indexOf(`--${name}`); return i < 0 ? other : process.argv[i + 1] ?? true; };
const port = Number(arg('port', 4173));
const quiet = process.argv.includes('--quiet');
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const rnd = seeded(7);
const world = makeWorld(Date.now(), Number(arg('runs', 10_000)));
const { pipelines, runs } = world;
const byId = new Map(runs.map((r) => [r.id, r]));
const sessions = new Set();
const idempotent = new Map();
const final = new Set(['succeeded', 'failed', 'cancelled', 'superseded', 'quarantined', 'skipped']);

// --- events ---------------------------------------------------------------------------------------------------------
const streams = new Set(); // {res, run}
let eventSeq = 0;
let eventMs = Date.now();
const past = [];
const lastEventId = () => `${eventMs}-${eventSeq}`;
function emit(event, data) {
  eventMs = Math.max(Date.now(), eventMs);
  eventSeq += 1;
  const e = { id: lastEventId(), event, data, run: data.run?.id ?? data.id };
  past.push(e);
  if (past.length > 5000) past.shift();
  for (const s of streams) deliver(s, e);
}
function deliver(s, e) {
  if (s.run ? e.run !== s.run || e.event === 'pipeline.changed' : e.event === 'run.log') return;
  s.res.write(`id: ${e.id}\nevent: ${e.event}\ndata: ${JSON.stringify(e.data)}\n\n`);
}
const newer = (a, b) => { const [x, y] = [a.split('-').map(Number), b.split('-').map(Number)]; return x[0] - y[0] || x[1] - y[1]; };
setInterval(() => { for (const s of streams) s.res.write(`event: ping\ndata: {"now":"${iso(Date.now())}"}\n\n`); }, 15_000).unref();

function stream(req, res, url, run) {
  if (run && final.has(run.state)) { res.writeHead(204).end(); return; }
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  const s = { res, run: run?.id };
  res.write(`retry: 2000\nid: ${lastEventId()}\ndata:\n\n`);
  const after = req.headers['last-event-id'] ?? url.searchParams.get('lastEventId');
  if (after) for (const e of past) if (newer(e.id, after) > 0) deliver(s, e);
  streams.add(s);
  req.on('close', () => streams.delete(s));
}

// --- views ----------------------------------------------------------------------------------------------------------
const publicRun = ({ liveLog, liveSteps, live, ...run }) => run;
function stateOf(p) {
  const last = p.runs.findLast((r) => r.state !== 'skipped');
  if (p.paused) return 'paused';
  if (p.runs.some((r) => r.state === 'running' || r.state === 'committed')) return 'running';
  if (last && (last.state === 'failed' || last.state === 'quarantined')) return 'failing';
  if (p.late) return 'late';
  return last ? 'healthy' : 'never';
}
function nextTimes(period, count) {
  const first = Math.ceil((Date.now() + 1000) / period) * period;
  return Array.from({ length: count }, (_, i) => iso(first + i * period));
}
function publicPipeline(p, full = false) {
  const done = p.runs.slice(-50).filter((r) => r.state === 'succeeded').map((r) => r.durationMs).sort((a, b) => a - b);
  const last = p.runs.findLast((r) => r.state !== 'skipped');
  return {
    name: p.name, description: p.description, owner: p.owner, tags: p.tags, enabled: p.enabled, paused: p.paused,
    pausedBy: p.pausedBy, pausedAt: p.pausedAt, pauseReason: p.pauseReason, state: stateOf(p),
    ...(p.late ? { lateSince: iso(Date.now() - 3 * 3_600_000) } : {}),
    schedule: {
      cron: p.cron, timezone: p.timezone, text: p.text, overridden: Boolean(p.overriddenBy), overriddenBy: p.overriddenBy,
      overriddenAt: p.overriddenAt, fileCron: p.fileCron, nextRuns: p.paused ? [] : nextTimes(p.period, 5), catchup: 'last', overlap: 'skip',
    },
    source: p.source, sinks: p.sinks,
    recent: p.runs.slice(-20).map((r) => ({ id: r.id, state: r.state, startedAt: r.startedAt, durationMs: r.durationMs, rows: r.rowsWritten })),
    lastRun: last ? publicRun(last) : null,
    p50Ms: done.length ? done[Math.floor(done.length / 2)] : null, p95Ms: done.length ? done[Math.floor(done.length * 0.95)] : null,
    version: p.version, warnings: p.warnings, ...(full ? { definition: definitionOf(p) } : {}),
  };
}
function attemptsOf(run) {
  if (!run.startedAt) return [];
  const n = Math.max(1, run.attempt);
  const start = Date.parse(run.startedAt);
  const span = run.durationMs ?? Date.now() - start;
  return Array.from({ length: n }, (_, i) => ({
    n: i + 1, attemptId: uuid(start, rnd), worker: 'worker-1', startedAt: iso(start + (span * i) / n),
    finishedAt: i + 1 === n && !final.has(run.state) && run.state !== 'queued' ? null : iso(start + (span * (i + (i + 1 === n ? 1 : 0.82))) / n),
    outcome: i + 1 < n ? 'failed' : run.state === 'running' ? 'running' : run.error ? 'failed' : run.state === 'cancelled' ? 'cancelled' : 'succeeded',
    ...(run.error ? { error: run.error } : {}),
  }));
}
function detail(run) {
  const p = pipelines.get(run.pipeline);
  const i = p.runs.indexOf(run);
  return {
    ...publicRun(run), steps: stepsOf(run), attempts: attemptsOf(run),
    outputs: ['succeeded', 'committed'].includes(run.state) ? p.sinks.map((s) => ({ name: `${s.type} ${s.as}`, kind: s.type, key: s.key ?? s.table, generation: { epoch: 3, seq: 118 + i }, rows: run.rowsWritten, bytes: run.bytesWritten, published: run.state === 'succeeded' })) : [],
    definitionVersion: p.version, lastEventId: lastEventId(), previousRunId: p.runs[i - 1]?.id ?? null, nextRunId: p.runs[i + 1]?.id ?? null,
  };
}
const lineOf = (run, seq, total) => run.liveLog?.[seq - 1] ?? logLine(run, seq, total);
function logs(run, q) {
  const total = logTotal(run);
  const level = ['debug', 'info', 'warn', 'error'];
  const least = level.indexOf(q.get('level') ?? 'debug');
  const [step, attempt, text] = [q.get('step'), q.get('attempt'), (q.get('q') ?? '').toLowerCase()];
  const filtered = least > 0 || step || attempt || text;
  const limit = Number(q.get('limit') ?? 200);
  const after = Number(q.get('after') ?? 0);
  const before = q.has('before') ? Number(q.get('before')) : null;
  const fits = (l) => level.indexOf(l.level) >= least && (!step || l.step === step) && (!attempt || l.attempt === Number(attempt)) && (!text || l.message.toLowerCase().includes(text));
  const items = [];
  let count = filtered ? 0 : total;
  if (filtered) {
    const all = [];
    for (let s = 1; s <= total; s += 1) { const l = lineOf(run, s, total); if (fits(l)) all.push(l); }
    count = all.length;
    items.push(...(before === null ? all.filter((l) => l.seq > after).slice(0, limit) : all.filter((l) => l.seq < before).slice(-limit)));
  } else {
    const from = before === null ? after + 1 : Math.max(1, before - limit);
    const to = before === null ? Math.min(total, after + limit) : Math.min(total, before - 1);
    for (let s = from; s <= to; s += 1) items.push(lineOf(run, s, total));
  }
  return { items, total: count, lastSeq: total, firstError: run.error ? Math.min(run.error.logSeq ?? 1, total) : null };
}
function metrics(run, points) {
  const span = (run.live ? Date.now() - Date.parse(run.startedAt) : run.durationMs ?? 60_000) / 1000;
  const n = Math.max(2, Math.min(points, Math.ceil(span * 2)));
  const r = seeded(run.id.charCodeAt(30) * 77 + run.id.charCodeAt(33));
  const t = []; const a = []; const b = []; const c = [];
  const mean = run.rowsRead / Math.max(1, span);
  for (let i = 0; i < n; i += 1) {
    const x = i / (n - 1);
    const wave = x < 0.16 ? 0 : mean * (1.15 + 0.25 * Math.sin(x * 9 + r()) + 0.12 * (r() - 0.5)) * (x > 0.9 && !run.error ? 0.3 : 1);
    t.push(Math.round(span * x * 10) / 10); a.push(Math.round(wave)); b.push(Math.round(i < 2 ? 0 : a[i - 1] * 0.98)); c.push(Math.round(wave * 113));
  }
  return { t, series: [{ name: 'rowsRead', unit: 'rows/s', v: a }, { name: 'rowsWritten', unit: 'rows/s', v: b }, { name: 'bytesRead', unit: 'bytes/s', v: c }] };
}

// --- a run that lives -----------------------------------------------------------------------------------------------
function start(p, kind, by, extra = {}, slow = 1) {
  const now = Date.now();
  const run = { ...makeRun(p, now, p.typical, p.rows, 'queued', rnd, kind), id: uuid(now, rnd), trigger: { kind, by, ...extra }, liveLog: [], liveSteps: [], live: true };
  if (kind !== 'schedule') delete run.slot;
  p.runs.push(run); runs.push(run); byId.set(run.id, run);
  p.late = false;
  emit('run.created', { run: publicRun(run) });
  void live(p, run, slow);
  return run;
}
const wait = (ms) => new Promise((r) => { setTimeout(r, ms); });
async function live(p, run, slow) {
  const changed = () => emit('run.state', { run: publicRun(run), lastLogSeq: run.liveLog.length });
  const log = (level, step, ...messages) => {
    const from = run.liveLog.length + 1;
    const lines = messages.map((message, i) => ({ seq: from + i, at: iso(Date.now()), level, step, attempt: 1, message }));
    run.liveLog.push(...lines);
    emit('run.log', { id: run.id, fromSeq: from, toSeq: run.liveLog.length, lines });
  };
  const open = (step) => {
    const s = { attempt: 1, step, state: 'running', startedAt: iso(Date.now()), finishedAt: null, rows: 0, bytes: 0, detail: '' };
    run.liveSteps.push(s);
    emit('run.step', { id: run.id, pipeline: p.name, step: s });
    return (state = 'done') => { s.state = state; s.finishedAt = iso(Date.now()); emit('run.step', { id: run.id, pipeline: p.name, step: { ...s } }); };
  };
  const finish = (state) => {
    run.state = state; run.finishedAt = iso(Date.now()); run.durationMs = Date.now() - Date.parse(run.startedAt); run.live = false;
    changed();
    for (const s of streams) if (s.run === run.id) { s.res.write('event: bye\ndata: {"reason":"final"}\n\n'); s.res.end(); }
  };
  await wait(500);
  Object.assign(run, { state: 'running', attempt: 1, startedAt: iso(Date.now()), worker: 'worker-1' });
  changed();
  for (const [step, ms, text] of [['resolve', 60, 'definition and credential resolved'], ['connect', 140, 'connected, TLS 1.3, 18 ms'], ['query', 500, 'query accepted']]) {
    const close = open(step); log('info', step, text); await wait(ms * slow); close();
  }
  const moving = ['read', 'transform', 'check', 'stage'].map((s) => [s, open(s)]);
  const ticks = Math.round(12 * slow);
  for (let i = 1; i <= ticks; i += 1) {
    await wait(480);
    if (run.cancelRequested) {
      log('warn', 'read', 'cancel asked for: stopped, staging removed');
      moving.forEach(([, close], k) => close(k === 0 ? 'failed' : 'done')); finish('cancelled'); return;
    }
    run.rowsRead = Math.round((p.rows * i) / ticks); run.rowsWritten = Math.round(run.rowsRead * 0.97); run.rowsFiltered = Math.floor(run.rowsRead * 0.002); run.rowsRejected = 0;
    run.bytesRead = run.rowsRead * 113; run.bytesWritten = run.rowsWritten * 87;
    for (const s of run.liveSteps) if (s.state === 'running') { s.rows = run.rowsRead; s.bytes = run.bytesRead; }
    log('info', 'read', `batch ${i}: ${Math.round(p.rows / ticks)} rows`, `batch ${i}: in 41 ms`);
    emit('run.progress', { id: run.id, pipeline: p.name, attempt: 1, at: iso(Date.now()), elapsedMs: Date.now() - Date.parse(run.startedAt), rowsRead: run.rowsRead, rowsWritten: run.rowsWritten, rowsRejected: 0, rowsFiltered: run.rowsFiltered, bytesRead: run.bytesRead, bytesWritten: run.bytesWritten });
  }
  moving.forEach(([, close]) => close());
  run.rowsWritten = run.rowsRead - run.rowsFiltered;
  let close = open('commit'); log('info', 'commit', 'decided: generation 3.119'); run.state = 'committed'; changed(); await wait(250); close();
  close = open('publish'); await wait(250); close(); log('info', 'publish', `published ${run.rowsWritten} rows`);
  finish('succeeded');
}
if (!quiet) {
  start(pipelines.get('ch.top_dests'), 'schedule', null, {}, 8);
  setInterval(() => start(pipelines.get('ch.top_dests'), 'schedule', null, {}, 6), 60_000).unref();
} else {
  const p = pipelines.get('ch.top_dests');
  Object.assign(p.runs.at(-1), { state: 'running', finishedAt: null, durationMs: null, rowsWritten: 120 });
}

// --- routes ---------------------------------------------------------------------------------------------------------
const titles = {
  'api.unauthenticated': [401, 'You are not logged in.', 'Open the login link that `headrace dev` printed.'],
  'api.not_found': [404, 'There is no such thing here.', 'Check the address.'],
  'run.not_found': [404, 'There is no run of this id.', 'It may have been removed by retention.'],
  'pipeline.not_found': [404, 'There is no pipeline of this name.', '`headrace check` lists the files that were read.'],
  'pipeline.paused': [409, 'The pipeline is paused.', 'Resume it on its page.'],
  'run.already_active': [409, 'This pipeline already has a run in progress.', 'Wait for it, or cancel it first.'],
  'run.not_cancellable': [409, 'The run is already decided.', 'Use `headrace rollback` to go back to the previous generation.'],
  'api.bad_request': [400, 'The request is not understood.', 'Compare it with /api/openapi.json.'],
  'api.forbidden': [403, 'This action is not allowed from here.', 'Use the page itself, or send the headers that the API asks for.'],
  'api.edit_conflict': [412, 'Someone changed this first.', 'Reload and apply your change again.'],
  'api.precondition_required': [428, 'This change needs an If-Match header.', 'Read the resource first and send back its ETag.'],
  'schedule.bad_cron': [422, 'The cron expression is not valid.', 'Five fields: minute hour day month weekday; e.g. */15 * * * *.'],
  'schedule.bad_zone': [422, 'The time zone is unknown.', 'Use an IANA name such as Europe/Kyiv.'],
};
function problem(res, code, extra = {}) {
  const [status, title, hint] = titles[code];
  res.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ type: `/problems/${code}`, title, status, code, hint, requestId: uuid(Date.now(), rnd), ...extra }));
}
const json = (res, body, status = 200, headers = {}) => res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers }).end(JSON.stringify(body));
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.txt': 'text/plain', '.json': 'application/json' };
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

function file(res, path) {
  if (!existsSync(path)) { res.writeHead(404, { 'content-type': 'text/plain' }).end('not found'); return; }
  res.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream', 'content-security-policy': csp, 'x-content-type-options': 'nosniff', 'cache-control': path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache' });
  createReadStream(path).pipe(res);
}
function statics(res, path) {
  if (path === '/') { res.writeHead(302, { location: '/etl' }).end(); return; }
  if (/^\/(etl|credentials|login)(\/|$)/.test(path)) file(res, join(dist, 'index.html'));
  else file(res, join(dist, path.replaceAll('..', '')));
}
const body = async (req) => { let s = ''; for await (const c of req) s += c; return s ? JSON.parse(s) : {}; };

function preview(q, res) {
  const expr = (q.get('expr') ?? '').trim();
  const parts = expr.split(/\s+/);
  try { new Intl.DateTimeFormat('en', { timeZone: q.get('tz') }); } catch { problem(res, 'schedule.bad_zone', { errors: [{ pointer: '#/schedule/timezone', detail: `"${q.get('tz')}" is not an IANA zone.` }] }); return; }
  if (parts.length !== 5 || /[^\d*/,\-A-Za-z ]/.test(expr)) { problem(res, 'schedule.bad_cron', { errors: [{ pointer: '#/schedule/cron', detail: `${parts.length} fields, 5 are needed.` }] }); return; }
  const every = /^\*\/(\d+)$/.exec(parts[0]);
  const period = every ? Number(every[1]) * 60_000 : parts[1] === '*' ? 3_600_000 : 86_400_000;
  json(res, { text: every ? `every ${every[1]} minutes` : parts[1] === '*' ? `every hour at minute ${parts[0]}` : `at ${parts[1].padStart(2, '0')}:${parts[0].padStart(2, '0')}`, next: nextTimes(period, Number(q.get('count') ?? 5)), warnings: period < 300_000 ? ['The p95 run takes 22 min: runs will overlap and be skipped.'] : [] });
}

async function api(req, res, url) {
  const path = url.pathname;
  const q = url.searchParams;
  if (path === '/api/health/live' || path === '/api/health/ready') return json(res, { status: 'ok' });
  if (path === '/api/auth/dev-login') {
    const { token } = await body(req);
    if (!token || token.length < 16) return problem(res, 'api.unauthenticated', { detail: 'The token is unknown or was used before.' });
    const sid = uuid(Date.now(), rnd); sessions.add(sid);
    return res.writeHead(204, { 'set-cookie': `mc.sid=${sid}; Path=/; HttpOnly; SameSite=Lax` }).end();
  }
  const sid = /mc\.sid=([^;]+)/.exec(req.headers.cookie ?? '')?.[1];
  if (!sessions.has(sid)) return problem(res, 'api.unauthenticated');
  if (req.method !== 'GET' && req.headers['x-headrace'] !== '1') return problem(res, 'api.forbidden');
  if (path === '/api/auth/me') return json(res, { name: 'ana', role: 'admin' });
  if (path === '/api/auth/logout') { sessions.delete(sid); return res.writeHead(204).end(); }
  if (path === '/api/version') return json(res, { version: '0.1.0', commit: 'mock', schema: 1, mode: 'dev' });
  if (path === '/api/etl/events') return stream(req, res, url);
  if (path === '/api/etl/cron/preview') return preview(q, res);
  if (path === '/api/credentials') {
    return json(res, { items: [['bq', 'bigquery', ['bigquery.googleapis.com', 'bigquerystorage.googleapis.com'], 20], ['ch', 'clickhouse', ['clickhouse.internal'], 3], ['smtp-old', 'http_basic', ['mail.internal'], 402], ['yespo-brand-b', 'yespo', ['yespo.io'], 61], ['yespo-ovago', 'yespo', ['yespo.io'], 61]]
      .map(([name, kind, hosts, days]) => ({ name, kind, hosts, usedBy: [...pipelines.values()].filter((p) => p.source.credential === name).map((p) => p.name), updatedAt: iso(Date.now() - days * 86_400_000) })) });
  }
  if (path === '/api/etl/overview') {
    const counts = { failing: 0, running: 0, late: 0, paused: 0, healthy: 0, never: 0 };
    for (const p of pipelines.values()) counts[stateOf(p)] += 1;
    return json(res, { ...counts, workers: 1, lastEventId: lastEventId() });
  }
  if (path === '/api/etl/pipelines') {
    const states = q.get('state')?.split(',');
    const text = (q.get('q') ?? '').toLowerCase();
    const items = [...pipelines.values()].map((p) => publicPipeline(p)).filter((p) => (!states || states.includes(p.state)) && p.name.toLowerCase().includes(text));
    return json(res, { items, lastEventId: lastEventId() });
  }
  let m = /^\/api\/etl\/pipelines\/([^/]+)(\/runs)?$/.exec(path);
  if (m) {
    const p = pipelines.get(decodeURIComponent(m[1]));
    if (!p) return problem(res, 'pipeline.not_found', { detail: `"${decodeURIComponent(m[1])}" is not a pipeline.` });
    if (m[2]) return trigger(req, res, p, 'manual');
    if (req.method === 'PATCH') return patch(req, res, p);
    return json(res, publicPipeline(p, true), 200, { etag: `"${p.version}"` });
  }
  if (path === '/api/etl/runs') {
    const states = q.get('state')?.split(','); const kinds = q.get('trigger')?.split(',');
    const limit = Number(q.get('limit') ?? 50); const skip = Number(q.get('cursor') ?? 0);
    const since = q.get('since'); const until = q.get('until');
    const from = q.get('pipeline') ? pipelines.get(q.get('pipeline'))?.runs ?? [] : runs;
    const all = from.filter((r) => (!states || states.includes(r.state)) && (!kinds || kinds.includes(r.trigger.kind)) && (!since || r.queuedAt >= since) && (!until || r.queuedAt < until)).reverse();
    return json(res, { items: all.slice(skip, skip + limit).map(publicRun), nextCursor: skip + limit < all.length ? String(skip + limit) : null, approxTotal: Math.min(10_001, all.length), lastEventId: lastEventId() });
  }
  m = /^\/api\/etl\/runs\/([^/]+)(?:\/(.+))?$/.exec(path);
  const run = m && byId.get(m[1]);
  if (!run) return problem(res, m ? 'run.not_found' : 'api.not_found');
  const p = pipelines.get(run.pipeline);
  switch (m[2]) {
    case undefined: return json(res, detail(run));
    case 'events': return stream(req, res, url, run);
    case 'logs': return json(res, logs(run, q));
    case 'logs.txt': {
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
      const total = logTotal(run);
      for (let s = 1; s <= total; s += 1) { const l = lineOf(run, s, total); res.write(`${l.at} ${l.level} ${l.step ?? '-'} ${l.message}\n`); }
      return res.end();
    }
    case 'metrics': return json(res, metrics(run, Number(q.get('points') ?? 400)));
    case 'config': return json(res, { version: p.version, definition: definitionOf(p), credentials: [p.source.credential] });
    case 'cancel':
      if (final.has(run.state)) return problem(res, 'run.not_cancellable');
      run.cancelRequested = true;
      if (!run.live) Object.assign(run, { state: 'cancelled', finishedAt: iso(Date.now()), durationMs: 1000, retryAt: undefined });
      emit('run.state', { run: publicRun(run), lastLogSeq: logTotal(run) });
      return json(res, publicRun(run), 202);
    case 'retry': return trigger(req, res, p, 'retry', run.id);
    default: return problem(res, 'api.not_found');
  }
}
async function trigger(req, res, p, kind, retryOf) {
  const key = req.headers['idempotency-key'];
  if (!key) return problem(res, 'api.bad_request', { detail: 'Idempotency-Key is missing.' });
  const { reason, force } = await body(req);
  if (idempotent.has(key)) return json(res, publicRun(byId.get(idempotent.get(key))), 202, { 'idempotency-replayed': 'true' });
  if (p.paused) return problem(res, 'pipeline.paused');
  const active = p.runs.find((r) => r.live);
  if (active) return problem(res, 'run.already_active', { runId: active.id });
  const run = start(p, kind, 'ana', { ...(reason ? { reason } : {}), ...(force ? { force } : {}), ...(retryOf ? { retryOf } : {}) });
  idempotent.set(key, run.id);
  return json(res, publicRun(run), 202, { location: `/api/etl/runs/${run.id}` });
}
async function patch(req, res, p) {
  const match = req.headers['if-match'];
  if (!match) return problem(res, 'api.precondition_required');
  if (match !== `"${p.version}"`) return problem(res, 'api.edit_conflict', { detail: `Changed by ${p.overriddenBy ?? 'bob'} just now.`, current: publicPipeline(p, true) });
  const b = await body(req);
  if ('paused' in b) Object.assign(p, { paused: b.paused, pausedBy: b.paused ? 'ana' : null, pausedAt: b.paused ? iso(Date.now()) : null, pauseReason: b.paused ? b.reason ?? null : null });
  if (b.schedule === null) Object.assign(p, { cron: p.fileCron, timezone: zoneName, text: 'as in the file', overriddenBy: null, overriddenAt: null });
  else if (b.schedule) Object.assign(p, { cron: b.schedule.cron, timezone: b.schedule.timezone, text: b.schedule.cron, overriddenBy: 'ana', overriddenAt: iso(Date.now()) });
  p.version += 1;
  emit('pipeline.changed', { name: p.name, version: p.version, by: 'ana' });
  return json(res, publicPipeline(p, true), 200, { etag: `"${p.version}"` });
}

createServer((req, res) => {
  const url = new URL(req.url, 'http://mock');
  if (url.pathname === '/mock/drop') { for (const s of streams) s.res.destroy(); res.writeHead(204).end(); return; }
  if (url.pathname === '/mock/logout') { sessions.clear(); res.writeHead(204).end(); return; }
  if (url.pathname === '/mock/streams') { json(res, { all: [...streams].filter((s) => !s.run).length, run: [...streams].filter((s) => s.run).length }); return; }
  if (url.pathname === '/mock/touch') { const p = pipelines.get(url.searchParams.get('name')); p.version += 1; p.overriddenBy = 'bob'; p.overriddenAt = iso(Date.now()); p.cron = '0 * * * *'; p.text = 'every hour'; res.writeHead(204).end(); return; }
  if (url.pathname === '/mock/fail') { const p = pipelines.get(url.searchParams.get('name')); const r = makeRun(p, Date.now(), 2000, p.rows, 'failed', rnd); p.runs.push(r); runs.push(r); byId.set(r.id, r); emit('run.created', { run: r }); emit('run.state', { run: { ...r, error: incomplete }, lastLogSeq: 3 }); res.writeHead(204).end(); return; }
  if (url.pathname.startsWith('/api/')) api(req, res, url).catch((e) => { console.error(e); res.destroy(); });
  else statics(res, url.pathname);
}).listen(port, '127.0.0.1', function listening() { console.log(`mock: http://127.0.0.1:${this.address().port}/login?t=mock-token-0123456789`); });
