// BullMQ in C++, npm bullmq and the floor (the same scripts, nothing around them), all in one run on the same Redis.
//   node bench/bullmq/run.mjs [--jobs 10000] [--repeat 15] [--only drain,add,idle,wake,delay] [--build build/release]
//                             [--worker 'any --port {port} --queue {queue} --concurrency {concurrency}'] [--out FILE]
// The client has core 0, Redis core 1. Workers are watched from outside: by Redis and /proc. Medians; jobs per second
// between the first and the last `finishedOn`, the first tenth left out. A ratio is the median of the rounds' ratios, each between
// neighbours in time: the speed of a shared host drifts by more than what is to be seen. For the same reason there are many short
// rounds and not a few long ones.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { median, quietRounds, ratioOf } from '../rounds.mjs';

const require = createRequire(import.meta.url);
const { Queue } = require('bullmq');
const { Redis } = require('ioredis');
const { values: options } = parseArgs({ options: {
  jobs: { type: 'string', default: '10000' }, repeat: { type: 'string', default: '15' }, build: { type: 'string', default: 'build/release' },
  only: { type: 'string', default: 'drain,add,idle,wake,delay' }, concurrency: { type: 'string', default: '1,10,100' },
  sides: { type: 'string', default: 'floor,cpp,node' }, worker: { type: 'string' }, out: { type: 'string' },
} });
const bench = (name) => resolve(options.build, `bench/bullmq/bullmq_${name}`);
const jobs = Number(options.jobs), repeat = Number(options.repeat);
const here = dirname(fileURLToPath(import.meta.url));
const data = { userId: 12345, kind: 'extract', path: 's3://bucket/some/object/key.json', n: 42 };
const sides = options.sides.split(',');

class Server {
  static async start() {
    const server = new Server();
    server.dir = mkdtempSync(join(tmpdir(), 'headrace-bench-bullmq-'));
    server.port = await new Promise((ok) => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => ok(port)); }); });
    server.process = spawn('taskset', ['-c', '1', 'redis-server', '--port', String(server.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', server.dir], { stdio: 'ignore' });
    server.connection = { host: '127.0.0.1', port: server.port, maxRetriesPerRequest: null };
    server.redis = new Redis({ ...server.connection, retryStrategy: () => 20 });
    server.redis.on('error', () => {});
    while (await server.redis.ping().catch(() => '') !== 'PONG') await wait(20);
    return server;
  }

  async stop() {
    this.redis.disconnect();
    this.process.kill('SIGTERM');
    await once(this.process, 'exit');
    rmSync(this.dir, { recursive: true, force: true });
  }

  async prefill(name, n) {
    const queue = new Queue(name, { connection: this.connection });
    for (let i = 0; i < n; i += 1000) await queue.addBulk(Array.from({ length: Math.min(1000, n - i) }, () => ({ name: 'job', data })));
    await queue.close();
  }
}

// Seconds on a CPU of all threads that are there (nanoseconds inside of the kernel; /proc/<pid>/stat counts in hundredths).
const cpuOf = (pid) => readdirSync(`/proc/${pid}/task`).reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e9, 0);
const memoryOf = (pid, key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

const commands = {
  cpp: options.worker ?? `${resolve(options.build, 'examples/bullmq/worker')} --quiet --redis redis://127.0.0.1:{port} --queue {queue} --concurrency {concurrency}`,
  node: `${process.execPath} ${join(here, 'node-worker.mjs')} {port} {queue} {concurrency}`,
};
function startWorker(side, port, queue, concurrency) {
  const line = commands[side].replaceAll('{port}', port).replaceAll('{queue}', queue).replaceAll('{concurrency}', concurrency);
  const child = spawn('taskset', ['-c', '0', ...line.split(' ')], { stdio: ['ignore', 'ignore', 'inherit'] });
  child.exited = once(child, 'exit');
  return child;
}
async function stopWorker(child) {
  child.kill('SIGTERM');
  await child.exited;
}

// --- draining
async function drained(server, queue, n) {
  const completed = `bull:${queue}:completed`;
  const at = async (index) => Number((await server.redis.zrange(completed, index, index, 'WITHSCORES'))[1]);
  const from = Math.floor(n / 10);
  return (n - 1 - from) / ((await at(n - 1) - await at(from)) / 1000);
}
async function drain(side, concurrency, n) {
  const server = await Server.start();
  try {
    await server.prefill('drain', n);
    const redisCpu = cpuOf(server.process.pid);
    const result = {};
    if (side === 'floor') {
      const floor = JSON.parse(execFileSync('taskset', ['-c', '0', bench('floor'), '--port', server.port, '--queue', 'drain', '--n', n, '--depth', concurrency], { encoding: 'utf8' }));
      result.cpu = floor.cpuSeconds / n * 1e6;
    } else {
      const child = startWorker(side, server.port, 'drain', concurrency);
      const done = () => server.redis.zcard('bull:drain:completed');
      let first = 0, cpuFirst = 0;
      for (const end = Date.now() + 120_000; ;) {
        const count = await done();
        if (!first && count > n / 10) { first = count; cpuFirst = cpuOf(child.pid); }
        if (count >= n) break;
        if (Date.now() > end) throw new Error(`${side}: ${count} of ${n} jobs done`);
        await wait(first ? 100 : 3);
      }
      result.cpu = (cpuOf(child.pid) - cpuFirst) / (n - first) * 1e6;
      result.rss = memoryOf(child.pid, 'VmHWM');
      await stopWorker(child);
    }
    result.redis = (cpuOf(server.process.pid) - redisCpu) / n * 1e6;
    result.speed = await drained(server, 'drain', n);
    return result;
  } finally {
    await server.stop();
  }
}

// --- adding
async function add(side, mode, n) {
  const server = await Server.start();
  try {
    const line = side === 'node' ? [process.execPath, join(here, 'node-producer.mjs'), server.port, 'add', mode, n]
      : side === 'cpp' ? [bench('producer'), '--port', server.port, '--queue', 'add', '--mode', mode, '--n', n]
        : [bench('floor'), '--port', server.port, '--queue', 'add', '--mode', 'add', '--n', n, '--depth', { seq: 1, inflight: 100, bulk: 1000 }[mode]];
    const { seconds, cpuSeconds } = JSON.parse(execFileSync('taskset', ['-c', '0', ...line.map(String)], { encoding: 'utf8' }).trim().split('\n').pop());
    return { speed: n / seconds, cpu: cpuSeconds / n * 1e6 };
  } finally {
    await server.stop();
  }
}

async function firstEnd(server, queue, child, ms) {
  while (!(await server.redis.zcard(`bull:${queue}:completed`))) {
    const end = child.exitCode ?? child.signalCode;
    if (end !== null) throw new Error(`the worker ended with ${end} before its first job: ${child.spawnargs.join(' ')}`);
    await wait(ms);
  }
}

// --- an idle worker: start, rest
async function idle(side) {
  const server = await Server.start();
  try {
    const queue = new Queue('idle', { connection: server.connection });
    await queue.add('job', {});
    const begin = Date.now();
    const child = startWorker(side, server.port, 'idle', 10);
    await firstEnd(server, 'idle', child, 1);
    const startMs = Number(await server.redis.hget('bull:idle:1', 'finishedOn')) - begin;
    await wait(700);
    const rss = memoryOf(child.pid, 'VmRSS'), cpu = cpuOf(child.pid);
    await wait(3000);
    const idleCpu = (cpuOf(child.pid) - cpu) / 3 * 1000;
    await queue.close();
    await stopWorker(child);
    return { startMs, rss, idleCpu };
  } finally {
    await server.stop();
  }
}

// --- from the return of an add to the start of the processor, and to the end of the job (producer.cpp)
async function wake(side) {
  const server = await Server.start();
  const n = 100;
  try {
    const line = side === 'floor' ? `${bench('floor')} --port ${server.port} --queue wake --mode wake --n ${n + 1}`
      : side === 'cpp' ? `${bench('wake_worker')} --port ${server.port} --queue wake` : `${process.execPath} ${join(here, 'node-worker.mjs')} ${server.port} wake 10 wake`;
    const queue = new Queue('wake', { connection: server.connection });
    const child = spawn('taskset', ['-c', '0', ...line.split(' ')], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.exited = once(child, 'exit');
    await queue.add('warm', {});
    await firstEnd(server, 'wake', child, 5);
    await queue.close();
    const adder = spawn(bench('producer'), ['--port', server.port, '--queue', 'wake', '--mode', 'wake', '--n', n], { stdio: ['ignore', 'pipe', 'inherit'] });
    let answer = '';
    adder.stdout.on('data', (text) => { answer += text; });
    await once(adder, 'exit');
    await stopWorker(child);
    return JSON.parse(answer);
  } finally {
    await server.stop();
  }
}

// --- delayed jobs at an idle worker, and nothing else that Redis has to do
async function delay(side) {
  const server = await Server.start();
  try {
    const queue = new Queue('delay', { connection: server.connection });
    const child = startWorker(side, server.port, 'delay', 10);
    await queue.add('warm', {});
    await firstEnd(server, 'delay', child, 5);
    const late = [];
    for (let i = 0; i < 15; i++) {
      const ms = 100 + ((i * 37) % 200);
      const job = await queue.add('job', {}, { delay: ms });
      await wait(ms + 160);
      const [added, started] = await server.redis.hmget(`bull:delay:${job.id}`, 'timestamp', 'processedOn');
      late.push(Number(started) - Number(added) - ms);
    }
    await queue.close();
    await stopWorker(child);
    return { late: median(late), worst: Math.max(...late) };
  } finally {
    await server.stop();
  }
}

async function rounds(times, names, measure) {
  const kept = await quietRounds(times, names, measure);
  const all = Object.fromEntries(names.map((name) => [name, kept.map((round) => round[name])]));
  const medians = (name) => Object.fromEntries(Object.keys(all[name][0]).map((key) => [key, median(all[name].map((r) => r[key]))]));
  const out = Object.fromEntries(names.map((name) => [name, medians(name)]));
  out.ratio = (side, to) => (side === 'cpp' && all[to] && all.cpp ? fixed(ratioOf((r) => r.speed, all.cpp, all[to]), 2) : '');
  return out;
}

const whole = (n) => Math.round(n).toLocaleString('en');
const fixed = (n, digits = 1) => (n === undefined ? '' : n.toFixed(digits));
const titles = { floor: 'floor', cpp: 'this library', node: 'npm bullmq' };

async function drainSection() {
  const lines = [];
  for (const concurrency of options.concurrency.split(',').map(Number)) {
    const r = await rounds(repeat, sides, (side) => drain(side, concurrency, jobs));
    for (const side of sides) {
      lines.push(`| ${concurrency} | ${titles[side]} | ${whole(r[side].speed)} | ${fixed(r[side].cpu)} | ${fixed(r[side].redis)} | ${fixed(r[side].rss)} | ${r.ratio(side, 'floor')} | ${r.ratio(side, 'node')} |`);
      console.error(lines.at(-1));
    }
  }
  return `### Draining ${whole(jobs)} no-op jobs\n\n| concurrency | | jobs/s | client CPU µs/job | Redis CPU µs/job | peak RSS MiB | of the floor | of Node |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
async function addSection() {
  const lines = [];
  for (const [mode, title] of [['seq', 'one by one'], ['inflight', '100 in flight'], ['bulk', 'in bulk of 1000']]) {
    const n = mode === 'seq' ? Math.ceil(jobs / 5) : jobs;
    const r = await rounds(repeat, sides, (side) => add(side, mode, n));
    for (const side of sides) {
      lines.push(`| ${title} | ${titles[side]} | ${whole(r[side].speed)} | ${fixed(r[side].cpu)} | ${r.ratio(side, 'floor')} | ${r.ratio(side, 'node')} |`);
      console.error(lines.at(-1));
    }
  }
  return `### Adding\n\n| | | jobs/s | client CPU µs/job | of the floor | of Node |\n| --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}
async function restSection(parts) {
  const names = sides.filter((side) => side !== 'floor');
  const lines = [];
  const row = (title, digits, r, key) => lines.push(`| ${title} | ${sides.map((name) => fixed(r[name]?.[key], digits)).join(' | ')} |`);
  if (parts.includes('idle')) {
    const r = await rounds(repeat, names, idle);
    row('start to the first finished job, ms', 0, r, 'startMs');
    row('RSS at rest, MiB', 1, r, 'rss');
    row('CPU at rest, ms per s', 2, r, 'idleCpu');
  }
  if (parts.includes('wake')) {
    const r = await rounds(repeat, sides, wake);
    row('from the return of an add to the start of the processor of an idle worker, ms', 2, r, 'start');
    row('the slowest of 100 starts, ms', 2, r, 'worstStart');
    row('from the return of the add to the news of the end, ms', 2, r, 'end');
  }
  if (parts.includes('delay')) {
    const r = await rounds(repeat, names, delay);
    row('a delayed job starts late by, median ms', 0, r, 'late');
    row('the latest of 15, ms', 0, r, 'worst');
  }
  lines.forEach((line) => console.error(line));
  return `### At rest\n\n| | ${sides.map((name) => titles[name]).join(' | ')} |\n| --- |${' --- |'.repeat(sides.length)}\n${lines.join('\n')}\n`;
}

const parts = options.only.split(',');
const sections = [];
if (parts.includes('drain')) sections.push(await drainSection());
if (parts.includes('add')) sections.push(await addSection());
if (['idle', 'wake', 'delay'].some((part) => parts.includes(part))) sections.push(await restSection(parts));
const redisVersion = execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).split(' ')[2];
const text = `## BullMQ\n\nClient on core 0, Redis (${redisVersion}) on core 1 of ${cpus().length}; ${cpus()[0].model}; Node ${process.version}, bullmq ${require('bullmq/package.json').version}; ${repeat} rounds, medians.
The floor calls the same scripts over one connection with as many calls in flight, and neither decodes nor runs a job.
Every job's result is its data. Of up to three times as many rounds those count in which the host gave least CPU time to others.\n\n${sections.join('\n')}`;
console.log(text);
if (options.out) writeFileSync(options.out, `${existsSync(options.out) ? `${readFileSync(options.out, 'utf8').trimEnd()}\n\n` : ''}${text}`);
