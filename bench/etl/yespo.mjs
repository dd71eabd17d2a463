// Yespo → Redis: Headrace, a Node worker and the floor of the simulator, all in one run, on the same contacts (about 490 bytes each).
//   node bench/etl/yespo.mjs [--rows 300000] [--repeat 3] [--page-rows 500] [--memory 100000,1000000] [--build build/release] [--out docs/benchmarks.md]
// The worker under test has core 0; Redis, Postgres and the simulator have core 1. Medians; ratios are between medians.
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Servers, cpuOf, status } from './servers.mjs';

const { values: options } = parseArgs({ options: {
  rows: { type: 'string', default: '300000' }, repeat: { type: 'string', default: '3' }, 'page-rows': { type: 'string', default: '500' },
  memory: { type: 'string', default: '100000,1000000' }, build: { type: 'string', default: 'build/release' }, out: { type: 'string' },
} });
const rows = Number(options.rows), repeat = Number(options.repeat), pageRows = Number(options['page-rows']);
const binary = resolve(options.build, 'headrace'), key = 'bench-key';
const sizes = options.memory ? options.memory.split(',').map(Number) : [];
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const servers = new Servers(1);
await Promise.all([servers.redis(), servers.postgres()]);
const redisCli = (...args) => execFileSync('redis-cli', ['-p', servers.redisPort, ...args], { encoding: 'utf8' }).trim();
const folder = join(servers.dir, 'pipelines');
mkdirSync(folder);
const env = { ...process.env, DATABASE_URL: servers.pgUrl, REDIS_URL: `redis://127.0.0.1:${servers.redisPort}`, HEADRACE_KEY_FILE: join(servers.dir, 'key'), HEADRACE_PIPELINES: folder, HEADRACE_LOG: 'json', HEADRACE_EGRESS_ALLOW: '127.0.0.1', SESSION_SECRET: 'x'.repeat(32) };
const headrace = (...args) => execFileSync(binary, args, { env, encoding: 'utf8' });
const psql = (text) => execFileSync('psql', [servers.pgUrl, '-Atc', text], { encoding: 'utf8' }).trim();

// Group N has N contacts.
async function simulator() {
  const address = join(servers.dir, 'yespo');
  const groups = [...new Set([20_000, rows, ...sizes])].flatMap((n) => ['--group', `${n}=${n}=${key}`]);
  servers.run('yespo', [resolve(options.build, 'yespo_simulator'), '--address-file', address, ...groups]);
  for (const end = Date.now() + 10_000; Date.now() < end && !existsSync(address); await wait(20));
  return readFileSync(address, 'utf8').trim();
}

// curl asks for the same pages and throws them away.
function floor(url) {
  const file = join(servers.dir, 'pages.curl');
  let text = `user = "u:${key}"\nheader = "Accept: application/json"\n`;
  for (let at = 1; at <= rows; at += pageRows) text += `url = "${url}/group/${rows}/contacts?startindex=${at}&maxrows=${pageRows}"\noutput = /dev/null\n`;
  writeFileSync(file, text);
  const start = process.hrtime.bigint();
  execFileSync('taskset', ['-c', '0', 'curl', '-sS', '-K', file], { stdio: 'ignore' });
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9 };
}

async function nodeRun(url) {
  redisCli('flushall');
  const child = spawn('taskset', ['-c', '0', process.execPath, new URL('node-yespo.mjs', import.meta.url).pathname],
    { env: { ...process.env, REDIS_PORT: String(servers.redisPort), YESPO_URL: url, YESPO_KEY: key }, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (n) => { child.stdin.write(`${JSON.stringify({ group: n, pageRows, key: 'bench' })}\n`); return JSON.parse((await lines.next()).value); };
  await ask(20_000);
  writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
  const result = await ask(rows);
  if (result.rows !== rows) throw new Error(`Node read ${result.rows} contacts`);
  result.rss = status(child.pid, 'VmHWM');
  child.stdin.end();
  await new Promise((ok) => child.on('exit', ok));
  return result;
}

let defined = 0;
async function headraceRun(n) {
  redisCli('flushall');
  const name = `bench.yespo${++defined}`;
  for (const old of readdirSync(folder)) rmSync(join(folder, old));
  writeFileSync(join(folder, `${name}.yaml`), `version: 1\nname: ${name}\nsource: { type: yespo, credential: yespo, group: "${n}", page_rows: ${pageRows}, compress: false }\nsinks:\n  - { type: redis, key: bench, as: list, chunk_rows: 1000 }\nretry: { attempts: 1, backoff: 1s, max: 1s }\ntimeout: 30m\n`);
  const child = spawn('taskset', ['-c', '0', binary, 'worker', '--no-schedule'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise((ok, bad) => {
    let log = '';
    child.stderr.on('data', (d) => { log += d; if (log.includes('"ready"')) ok(); });
    child.on('exit', () => bad(new Error(`the worker ended: ${log}`)));
  });
  writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
  const before = cpuOf(child.pid);
  const id = headrace('run', name, '--wait').split('\n')[0];
  await wait(300); // the last counters of the process
  const seconds = Number(psql(`select extract(epoch from finished_at - started_at) from etl_runs where run_id = '${id}' and state = 'succeeded' and rows_written = ${n}`));
  if (!seconds) throw new Error(`the run failed: ${psql(`select error from etl_runs where run_id = '${id}'`)}`);
  const result = { seconds, cpu: cpuOf(child.pid) - before, rss: status(child.pid, 'VmHWM') };
  child.removeAllListeners('exit');
  child.kill('SIGTERM');
  await new Promise((ok) => child.on('exit', ok));
  return result;
}

async function main() {
  const url = await simulator();
  writeFileSync(env.HEADRACE_KEY_FILE, `${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')}\n`, { mode: 0o600 });
  headrace('migrate');
  execFileSync(binary, ['credential', 'set', 'yespo', '--kind', 'http', '-s', `url=${url}`, '--host', new URL(url).host], { env, input: `${key}\n` });
  const all = { headrace: [], node: [], floor: [] };
  for (let i = 0; i < repeat; i++) {
    all.floor.push(floor(url));
    all.headrace.push(await headraceRun(rows));
    all.node.push(await nodeRun(url));
    console.error(`yespo: round ${i + 1} of ${repeat}`);
  }
  const speed = (name) => rows / median(all[name].map((r) => r.seconds));
  const line = (title, name) => {
    const seconds = all[name].map((r) => r.seconds), pick = (field) => median(all[name].map((r) => r[field] ?? NaN));
    return `| ${title} | ${Math.round(speed(name)).toLocaleString('en')} (${Math.round(rows / Math.max(...seconds) / 1000)}k..${Math.round(rows / Math.min(...seconds) / 1000)}k) | ${Number.isNaN(pick('cpu')) ? '' : (pick('cpu') / rows * 1e6).toFixed(2)} | ${Number.isNaN(pick('rss')) ? '' : pick('rss').toFixed(0)} |`;
  };
  const memory = [];
  for (const n of sizes) memory.push(`| ${n.toLocaleString('en')} contacts | ${(await headraceRun(n)).rss.toFixed(1)} |`);
  const text = `
## Yespo → Redis

${rows.toLocaleString('en')} contacts of about 490 bytes from the simulator, pages of ${pageRows}, list of 1000-row chunks; ${repeat} rounds, medians (slowest..fastest).
Headrace: the whole run as its history shows it, 17 columns, with the proof of the end. Node: pages parsed, ids checked, contacts written as they
came; nothing is mapped or proven.

| | contacts/s | CPU-s per million | peak RSS MiB |
| --- | --- | --- | --- |
${line('Headrace', 'headrace')}
${line('Node worker', 'node')}
${line('floor: curl of the pages to /dev/null', 'floor')}

| ratio | value |
| --- | --- |
| Headrace / Node | ${(speed('headrace') / speed('node')).toFixed(2)} |
| Headrace / floor | ${(speed('headrace') / speed('floor') * 100).toFixed(0)} % |
${memory.length ? `\n| peak RSS of Headrace | MiB |\n| --- | --- |\n${memory.join('\n')}\n` : ''}`;
  console.log(text);
  if (options.out) appendFileSync(options.out, text);
}

try { await main(); } finally { await servers.stop(); }
