// Workers whose clocks differ from Redis', by libfaketime: only their wall clock is moved, as a wrong setting does.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { CppWorker, Queue, RedisServer, until } from './support.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const library = ['x86_64', 'aarch64'].map(arch => `/usr/lib/${arch}-linux-gnu/faketime/libfaketimeMT.so.1`).find(existsSync);
const moved = by => ({ LD_PRELOAD: library, FAKETIME: by, FAKETIME_DONT_FAKE_MONOTONIC: '1' });

let server;
before(async () => {
  assert.ok(library, 'libfaketime is missing: scripts/install-deps');
  server = await RedisServer.start();
});
after(() => server.stop());

const cppWorker = (name, by, ...args) => new CppWorker({ url: server.url, env: moved(by) }, name, '--concurrency', '4', ...args);
const nodeWorker = (name, by) => {
  const child = spawn(process.execPath, [join(here, 'storm-worker.mjs'), String(server.port), name], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...moved(by) } });
  CppWorker.alive.add(child);
  return child;
};

async function withQueue(name, body) {
  const queue = new Queue(name, { connection: server.connection, streams: { events: { maxLen: 100_000 } } });
  await queue.waitUntilReady();
  try {
    await body(queue);
  } finally {
    CppWorker.killLeftOvers();
    await queue.close();
  }
}

// What the stream of events, which has Redis' own time, says of each job.
async function witnesses(name) {
  const jobs = new Map();
  for (const [id, [, event, , jobId]] of await server.client.xrange(`bull:${name}:events`, '-', '+')) {
    const job = jobs.get(jobId) ?? { completed: 0 };
    if (event === 'active') job.started ??= Number(id.split('-')[0]);
    if (event === 'completed') job.completed += 1;
    jobs.set(jobId, job);
  }
  return jobs;
}

for (const [ours, theirs, args] of [['+45s', '-45s', ['--redis-clock']], ['-45s', '+45s', []]]) {
  test(`a C++ worker ${ours}, a Node worker ${theirs}${args.length ? ', ours by Redis\' clock: no delayed job starts early' : ''}; none lost, none twice`, async () => {
    const name = `clock${ours}`;
    await withQueue(name, async queue => {
      const worker = cppWorker(name, ours, '--flaky', '--sleep-ms', '1', ...args);
      const node = nodeWorker(name, theirs);
      const jobs = await queue.addBulk(Array.from({ length: 400 }, (_, n) => ({
        name: 'j', data: { n, ...(n % 4 === 1 ? { flaky: true } : {}) },
        opts: n % 4 === 1 ? { attempts: 3, backoff: { type: 'fixed', delay: 100 } } : n % 4 === 2 ? { delay: 500 + 5 * n } : {},
      })));
      await until('all are done', async () => await queue.getJobCountByTypes('completed') === jobs.length, 60_000);
      const told = await witnesses(name);
      assert.deepEqual(jobs.filter(({ id }) => told.get(id).completed !== 1).map(({ id }) => id), []);
      assert.equal(await queue.getJobCountByTypes('failed', 'active', 'wait', 'delayed'), 0);
      if (args.length) {
        const early = jobs.filter(({ delay }) => delay > 0).map(({ id, timestamp, delay }) => timestamp + delay - told.get(id).started);
        assert.ok(Math.max(...early) <= 1000, `early by up to ${Math.max(...early)} ms`);
      }
      node.kill('SIGTERM');
      await once(node, 'exit');
      assert.equal(await worker.stop(), 0);
    });
  });
}

test('a worker that is killed while its clock is ahead: the one behind does its job, once', () => withQueue('killed', async queue => {
  const fast = ['--lock-ms', '1000', '--stalled-ms', '500', '--max-stalled', '9'];
  const ahead = cppWorker('killed', '+600s', '--sleep-ms', '60000', ...fast);
  const job = await queue.add('j', {});
  await until('it runs', () => ahead.of('active').length === 1);
  const behind = cppWorker('killed', '-600s', ...fast);
  await behind.ready();
  ahead.process.kill('SIGKILL');
  await until('it is done', async () => await queue.getJobState(job.id) === 'completed');
  assert.equal((await witnesses('killed')).get(job.id).completed, 1);
  assert.equal(await behind.stop(), 0);
}));

test('a worker whose clock is wrong says so, and goes by it as Node does', () => withQueue('wrong', async queue => {
  const worker = cppWorker('wrong', '+45s');
  const job = await queue.add('j', {}, { delay: 40_000 });
  await until('it is done', async () => await queue.getJobState(job.id) === 'completed');
  assert.match(worker.of('error')[0].text, /^this machine's clock is 4[45]\.\d s ahead of Redis': delayed jobs start early/);
  assert.equal(await worker.stop(), 0);
}));
