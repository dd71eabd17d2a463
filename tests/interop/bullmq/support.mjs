// Servers, peers and dumps for the interop tests. Everything is started here and stopped by its process id.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
export const { Queue, Worker, QueueEvents, QueueEventsProducer, FlowProducer, UnrecoverableError, DelayedError, RateLimitError, WaitingChildrenError, WaitingError } = require('bullmq');
export const { Redis } = require('ioredis');

const driverPath = process.env.BULLMQ_DRIVER;
const examples = process.env.BULLMQ_EXAMPLES;
if (!driverPath || !examples) {
  throw new Error('set BULLMQ_DRIVER and BULLMQ_EXAMPLES (ctest does)');
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// Polls an outside fact; the bound is generous because the machine may be busy.
export async function until(what, check, ms = 20_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not in ${ms} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

export class RedisServer {
  static async start(...args) {
    const server = await RedisServer.prepare(...args);
    await server.up();
    return server;
  }

  // A folder and a port, no server yet.
  static async prepare(...args) {
    const server = new RedisServer();
    server.directory = mkdtempSync(join(tmpdir(), 'headrace-bullmq-'));
    server.port = await freePort();
    server.args = args;
    return server;
  }

  get url() { return `redis://127.0.0.1:${this.port}`; }
  get connection() { return { host: '127.0.0.1', port: this.port, maxRetriesPerRequest: null }; }

  async up(...first) {
    const plain = first.includes('--sentinel') ? [] : ['--save', ''];
    this.process = spawn(process.env.BULLMQ_REDIS_SERVER ?? 'redis-server', [...first, '--port', String(this.port), '--bind', '127.0.0.1', ...plain, '--dir', this.directory,
      '--loglevel', 'warning', ...this.args], { stdio: 'ignore' });
    this.client ??= new Redis({ ...this.connection, retryStrategy: () => 20 });
    this.client.on('error', () => {});
    await until('redis answers', () => this.client.ping().catch(() => false));
  }

  async down(signal = 'SIGTERM') {
    this.process.kill(signal);
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
  }

  async stop() {
    this.client.disconnect();
    await this.down();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

// The example worker as a process of its own, with what it printed.
export class CppWorker {
  constructor(server, queue, ...args) {
    this.process = spawn(join(examples, 'worker'), ['--redis', server.url, '--queue', queue, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...server.env } });
    this.events = [];
    createInterface({ input: this.process.stdout }).on('line', line => {
      const [kind, id, text] = line.split('\t');
      this.events.push({ kind, id, text });
    });
    this.exited = once(this.process, 'exit');
    CppWorker.alive.add(this.process);
    this.process.on('exit', () => CppWorker.alive.delete(this.process));
  }

  static alive = new Set();

  // After a failed test, so that the next one has the queue for itself.
  static killLeftOvers() { for (const process of CppWorker.alive) process.kill('SIGKILL'); }

  of(kind) { return this.events.filter(event => event.kind === kind); }
  ready() { return until('worker is connected', () => this.of('connected').length > 0); }

  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    const [code] = await this.exited;
    return code;
  }
}

export async function cppAdd(server, queue, ...args) {
  const child = spawn(join(examples, 'add'), ['--redis', server.url, '--queue', queue, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...server.env } });
  let out = '';
  child.stdout.on('data', data => { out += data; });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`add ended with ${code}`);
  return out.trim().split('\n');
}

export class Driver {
  constructor(server, queue, prefix = 'bull') {
    this.process = spawn(driverPath, [server.url, queue, prefix], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async do(command) {
    this.process.stdin.write(JSON.stringify(command) + '\n');
    const { value, done } = await this.lines.next();
    if (done) throw new Error('the driver died');
    return JSON.parse(value);
  }

  async stop() {
    this.process.stdin.end();
    if (this.process.exitCode === null) await once(this.process, 'exit');
  }
}

// A number of milliseconds that depends on when the test ran: no scenario uses such an odd one itself.
const inexact = value => Number(value) >= 10_000 && Number(value) % 1000 !== 0;
// What a scheduler computes out of the clock may be any number, also a small or a round one.
const computed = (key, name) => name === 'offset' || (name === 'delay' && key.startsWith('repeat:'));

const asObject = flat => {
  const out = {};
  for (let i = 0; i + 1 < flat.length; i += 2) out[flat[i]] = flat[i + 1];
  return out;
};

// Everything of a queue in Redis, in a form that two runs can be compared by: times, tokens and stacks are masked, JSON is
// parsed (its key order is arbitrary), the wake-up marker and the once-per-interval guard are left out.
export async function dump(redis, prefix) {
  const mask = text => /^1[6-9]\d{11}(\.\d+)?$/.test(text) ? '<ms>' : /^\d{16,}$|e\+15$/.test(text) ? '<due>'
    : inexact(text) ? '<span>' : text;
  const field = (key, name, value) => {
    if (name === 'stacktrace') return { entries: JSON.parse(value).length };
    if (['opts', 'parent'].includes(name)) {
      return JSON.parse(value, (inner, v) => {
        if (typeof v === 'string') return v.replace(/1[6-9]\d{11}/g, '<ms>');
        if (typeof v !== 'number') return v;
        return v > 1.6e12 ? '<ms>' : inexact(v) || computed(key, inner) ? '<span>' : v;
      });
    }
    if (computed(key, name)) return '<span>';
    return mask(value.replace(/(repeat:[^:]+:)1[6-9]\d{11}/g, '$1<ms>'));
  };
  const member = id => id.replace(/(repeat:[^:]+:)1[6-9]\d{11}/g, '$1<ms>');
  const out = {};
  for (const key of (await redis.keys(`${prefix}*`)).sort()) {
    const name = member(key.slice(prefix.length));
    if (['marker', 'stalled-check'].includes(name.split(':').at(-1))) continue;
    const type = await redis.type(key);
    let value;
    if (type === 'string') value = /:lock$/.test(key) ? '<token>' : field(name, '', await redis.get(key));
    else if (type === 'list') value = (await redis.lrange(key, 0, -1)).map(member);
    else if (type === 'set') value = (await redis.smembers(key)).map(member).sort();
    else if (type === 'zset') {
      const flat = await redis.zrange(key, 0, -1, 'WITHSCORES');
      value = Object.entries(asObject(flat)).map(([id, score]) => [member(id), mask(score)]);
      // Finished in the same millisecond or not is chance.
      if (/:(completed|failed)$/.test(key)) value.sort();
    } else if (type === 'hash') {
      value = Object.fromEntries(Object.entries(await redis.hgetall(key)).sort().map(([f, v]) => [f, field(name, f, v)]));
    } else if (type === 'stream') {
      value = (await redis.xrange(key, '-', '+')).map(([, fields]) =>
        Object.fromEntries(Object.entries(asObject(fields)).map(([f, v]) => [f, field(name, f, v)])));
    }
    out[name] = { type, ttl: (await redis.pttl(key)) > 0, value };
  }
  return out;
}
