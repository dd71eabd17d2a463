// The service under test: a folder of pipelines, the worker process on core 0, and what a run cost by its own history and /proc.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { median } from '../rounds.mjs';
import { cpuOf, status } from './servers.mjs';

export class Headrace {
  defined = 0;

  // The servers run; `more`: further environment.
  constructor(servers, build, more = {}) {
    this.binary = resolve(build, 'headrace');
    this.folder = join(servers.dir, 'pipelines');
    mkdirSync(this.folder);
    this.env = { ...process.env, DATABASE_URL: servers.pgUrl, REDIS_URL: `redis://127.0.0.1:${servers.redisPort}`,
      HEADRACE_KEY_FILE: join(servers.dir, 'key'), HEADRACE_PIPELINES: this.folder, HEADRACE_LOG: 'json', HEADRACE_LISTEN: '127.0.0.1:0',
      SESSION_SECRET: 'x'.repeat(32), ...more };
    this.psql = (text) => execFileSync('psql', [servers.pgUrl, '-Atc', text], { encoding: 'utf8' }).trim();
    this.redisCli = (...args) => execFileSync('redis-cli', ['-p', servers.redisPort, ...args], { encoding: 'utf8' }).trim();
    writeFileSync(this.env.HEADRACE_KEY_FILE, `${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')}\n`, { mode: 0o600 });
    this.cli('migrate');
  }

  cli(...args) { return execFileSync(this.binary, args, { env: this.env, encoding: 'utf8' }); }

  credential(name, secret, ...args) {
    execFileSync(this.binary, ['credential', 'set', name, ...args], { env: this.env, input: `${secret}\n` });
  }

  // A process of the service, ready.
  async start(...args) {
    const child = spawn('taskset', ['-c', '0', this.binary, ...args], { env: this.env, stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    await new Promise((ok, bad) => {
      child.stderr.on('data', (d) => { log += d; if (log.includes('"ready"')) ok(); });
      child.on('exit', () => bad(new Error(`${args[0]} ended: ${log}`)));
    });
    return child;
  }

  async end(child) {
    child.removeAllListeners('exit');
    child.kill('SIGTERM');
    await new Promise((ok) => child.on('exit', ok));
  }

  // One run of a pipeline by a worker of its own, with an emptied Redis. `source` and each of `sinks` are what stands between
  // the braces of the file. A new name each time: a pipeline whose output is flushed away would be run again by itself.
  async run(rows, source, ...sinks) {
    this.redisCli('flushall');
    const name = `bench.p${++this.defined}`;
    for (const old of readdirSync(this.folder)) rmSync(join(this.folder, old));
    writeFileSync(join(this.folder, `${name}.yaml`), `version: 1\nname: ${name}\nsource: { ${source} }\nsinks:\n${sinks.map((sink) => `  - { ${sink} }\n`).join('')}retry: { attempts: 1, backoff: 1s, max: 1s }\ntimeout: 30m\n`);
    const child = await this.start('worker', '--no-schedule');
    writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
    const before = cpuOf(child.pid);
    const id = this.cli('run', name, '--wait').split('\n')[0];
    await wait(300); // the last counters of the process
    const seconds = Number(this.psql(`select extract(epoch from finished_at - started_at) from etl_runs where run_id = '${id}' and state = 'succeeded' and rows_read = ${rows}`));
    if (!seconds) throw new Error(`the run failed: ${this.psql(`select coalesce(error::text, state || ', rows read: ' || rows_read) from etl_runs where run_id = '${id}'`)}`);
    const result = { rows, seconds, cpu: cpuOf(child.pid) - before, rss: status(child.pid, 'VmHWM') };
    await this.end(child);
    return result;
  }
}

// One run of a worker in Node on core 0, warmed up by a run of 20,000 rows, with an emptied Redis. It takes a line of JSON,
// `request(rows)`, and answers with { rows, seconds, cpu }.
export async function nodeRun(servers, program, env, request, rows) {
  execFileSync('redis-cli', ['-p', servers.redisPort, 'flushall']);
  const child = spawn('taskset', ['-c', '0', process.execPath, new URL(program, import.meta.url).pathname],
    { env: { ...process.env, REDIS_PORT: String(servers.redisPort), ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (n) => { child.stdin.write(`${JSON.stringify(request(n))}\n`); return JSON.parse((await lines.next()).value); };
  await ask(20_000);
  writeFileSync(`/proc/${child.pid}/clear_refs`, '5');
  const result = await ask(rows);
  if (result.rows !== rows) throw new Error(`Node read ${result.rows} rows`);
  result.rss = status(child.pid, 'VmHWM');
  child.stdin.end();
  await new Promise((ok) => child.on('exit', ok));
  return result;
}

// Polls until a server has written its address.
export async function addressIn(file) {
  for (const end = Date.now() + 10_000; Date.now() < end; await wait(20)) if (existsSync(file)) return;
  throw new Error(`nothing wrote ${file}`);
}

// For ratioOf(): of a round.
export const rowSpeed = (round) => round.rows / round.seconds;

// Lines of a table: medians (slowest..fastest) of rounds, each { seconds, cpu?, rss? } for `rows`.
export const speedOf = (rounds, rows) => rows / median(rounds.map((r) => r.seconds));
export function lineOf(title, rounds, rows) {
  const seconds = rounds.map((r) => r.seconds), k = (s) => `${Math.round(rows / s / 1000)}k`;
  const pick = (key) => (rounds[0][key] === undefined ? null : median(rounds.map((r) => r[key])));
  const cpu = pick('cpu'), rss = pick('rss');
  return `| ${title} | ${Math.round(speedOf(rounds, rows)).toLocaleString('en')} (${k(Math.max(...seconds))}..${k(Math.min(...seconds))}) | ${cpu === null ? '' : (cpu / rows * 1e6).toFixed(2)} | ${rss === null ? '' : rss.toFixed(0)} |`;
}
