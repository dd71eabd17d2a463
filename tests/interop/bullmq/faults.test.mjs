// What happens to jobs when workers, connections and Redis die.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { CppWorker, Queue, RedisServer, until, Worker } from './support.mjs';
import { storm } from './storm.mjs';

let server;
before(async () => { server = await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always'); });
after(() => server.stop());

let counter = 0;
async function withQueue(body) {
  const name = `f${++counter}`;
  const queue = new Queue(name, { connection: { ...server.connection, retryStrategy: () => 50 } });
  queue.on('error', () => {});
  try {
    await body(queue, name);
  } finally {
    CppWorker.killLeftOvers();
    await queue.close();
  }
}

const completed = queue => queue.getJobCountByTypes('completed').catch(() => 0);
const killAllClients = async () => {
  await server.client.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
};

// Forwards to Redis; can be made to hold bytes back or to swallow answers and then cut.
class Proxy {
  static async start(port) {
    const proxy = new Proxy();
    proxy.pairs = new Set();
    proxy.server = createServer(client => {
      const pair = { client, upstream: connect(port, '127.0.0.1'), frozen: false, deaf: false };
      proxy.pairs.add(pair);
      client.on('data', data => pair.frozen || pair.upstream.write(data));
      pair.upstream.on('data', data => pair.frozen || pair.deaf || client.write(data));
      const end = () => { proxy.pairs.delete(pair); client.destroy(); pair.upstream.destroy(); };
      for (const socket of [client, pair.upstream]) socket.on('error', end).on('close', end);
    }).listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.url = `redis://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  freeze() { for (const pair of this.pairs) pair.frozen = true; }

  // Redis executes what comes, its answers are lost, then the connections break.
  async swallowAnswers() {
    const pairs = [...this.pairs];
    for (const pair of pairs) pair.deaf = true;
    await new Promise(resolve => setTimeout(resolve, 30));
    for (const pair of pairs) pair.client.destroy();
  }

  stop() {
    for (const pair of this.pairs) pair.client.destroy();
    this.server.close();
  }
}

test('kill -9: another worker does the job within lock + stalled interval', () => withQueue(async (queue, name) => {
  const fast = ['--lock-ms', '1000', '--stalled-ms', '500', '--max-stalled', '3'];
  const first = new CppWorker(server, name, '--sleep-ms', '60000', ...fast);
  const job = await queue.add('j', { x: 1 });
  await until('it runs', () => first.of('active').length === 1);
  const second = new CppWorker(server, name, ...fast);
  await second.ready();
  first.process.kill('SIGKILL');
  const killed = Date.now();
  await until('it is done', async () => await completed(queue) === 1);
  const took = Date.now() - killed;
  assert.ok(took < 1000 + 2 * 500 + 2000, `took ${took} ms`);
  const done = await queue.getJob(job.id);
  assert.deepEqual([done.attemptsStarted, done.stalledCounter], [2, 1]);
  assert.equal(await second.stop(), 0);
}));

test('a deleted lock stops the job', () => withQueue(async (queue, name) => {
  const worker = new CppWorker(server, name, '--sleep-ms', '60000', '--lock-ms', '800', '--stalled-ms', '60000');
  const job = await queue.add('j', {});
  await until('it runs', () => worker.of('active').length === 1);
  await server.client.del(`bull:${name}:${job.id}:lock`);
  await until('the loss is told', () => worker.of('lock_lost').length === 1);
  // The slot is free again: the token ended the sleep.
  await queue.add('next', {});
  await until('the next one starts', () => worker.of('active').length === 2);
  assert.equal(await queue.getJobState(job.id), 'active');
  assert.equal(await worker.stop('SIGKILL'), null);
}));

test('Redis restarts while the worker is idle', () => withQueue(async (queue, name) => {
  const worker = new CppWorker(server, name, '--drain-ms', '1000');
  await worker.ready();
  await server.down();
  await until('it notices', () => worker.of('disconnected').length > 0);
  await server.up();
  await until('it is back', () => worker.of('connected').length > 1);
  await queue.add('j', {});
  await until('it is done', async () => await completed(queue) === 1);
  assert.equal(await worker.stop(), 0);
}));

test('F10 Redis restarts while jobs run: they finish once', () => withQueue(async (queue, name) => {
  const worker = new CppWorker(server, name, '--sleep-ms', '1500', '--concurrency', '3', '--drain-ms', '1000');
  await queue.addBulk(Array.from({ length: 5 }, (_, i) => ({ name: 'j', data: { i } })));
  await until('they run', () => worker.of('active').length >= 3);
  await server.down('SIGKILL');
  await until('the first are over', () => worker.of('disconnected').length > 0);
  await server.up();
  await until('all are done', async () => await completed(queue) === 5);
  assert.ok((await queue.getJobs('completed')).every(job => job.attemptsStarted === 1), 'nothing ran twice');
  assert.equal(await worker.stop(), 0);
}));

test('SCRIPT FLUSH in the middle', () => withQueue(async (queue, name) => {
  await queue.addBulk(Array.from({ length: 300 }, () => ({ name: 'j', data: {} })));
  const worker = new CppWorker(server, name, '--concurrency', '5', '--progress');
  while (await completed(queue) < 300) await server.client.script('FLUSH');
  assert.deepEqual(worker.of('error'), []); // a forgotten call goes out again as EVAL, which no flush can come between
  assert.ok((await queue.getJobs('completed')).every(job => job.attemptsStarted === 1));
  assert.equal(await worker.stop(), 0);
}));

test('CLIENT KILL of every connection, again and again', () => withQueue(async (queue, name) => {
  await queue.addBulk(Array.from({ length: 1000 }, () => ({ name: 'j', data: {} })));
  const worker = new CppWorker(server, name, '--concurrency', '10', '--sleep-ms', '2');
  await worker.ready();
  for (let i = 0; i < 8; ++i) {
    await killAllClients();
    const times = worker.of('connected').length;
    await until('it is back', () => worker.of('connected').length > times || worker.of('completed').length >= 1000);
  }
  await until('all are done', async () => await completed(queue) === 1000);
  assert.ok((await queue.getJobs('completed')).every(job => job.attemptsStarted === 1), 'nothing ran twice');
  assert.equal((await queue.getJobCounts('active')).active, 0);
  assert.equal(await worker.stop(), 0);
}));

test('lost answers: finishes count, fetched jobs are adopted, nothing runs twice or stalls', () => withQueue(async (queue, name) => {
  const proxy = await Proxy.start(server.port);
  await queue.addBulk(Array.from({ length: 600 }, () => ({ name: 'j', data: {} })));
  const worker = new CppWorker({ url: proxy.url }, name, '--concurrency', '8', '--sleep-ms', '2');
  await worker.ready();
  for (let i = 0; i < 6 && await completed(queue) < 600; ++i) {
    const times = worker.of('connected').length;
    await proxy.swallowAnswers();
    await until('it is back', () => worker.of('connected').length > times);
  }
  // The lock duration is 30 s: a job that had to stall would not be done by then.
  await until('all are done', async () => await completed(queue) === 600, 25_000);
  const jobs = await queue.getJobs('completed');
  assert.deepEqual(jobs.filter(job => job.attemptsStarted !== 1).map(job => job.id), []);
  await until('the worker has told of each', () => worker.of('completed').length === 600);
  assert.equal(await worker.stop(), 0);
  proxy.stop();
}));

test('half-open connections are noticed and replaced', () => withQueue(async (queue, name) => {
  const proxy = await Proxy.start(server.port);
  const worker = new CppWorker({ url: proxy.url }, name, '--drain-ms', '500', '--reply-timeout-ms', '700');
  await worker.ready();
  proxy.freeze();
  await queue.add('j', {});
  await until('it is done', async () => await completed(queue) === 1);
  assert.equal(await worker.stop(), 0);
  proxy.stop();
}));

test('SIGTERM: running jobs finish within the grace, else go back uncounted', () => withQueue(async (queue, name) => {
  const patient = new CppWorker(server, name, '--sleep-ms', '500', '--concurrency', '2');
  const job = await queue.add('j', {});
  await until('it runs', () => patient.of('active').length === 1);
  assert.equal(await patient.stop(), 0);
  assert.equal(await queue.getJobState(job.id), 'completed');

  const hasty = new CppWorker(server, name, '--sleep-ms', '60000', '--grace-ms', '50');
  const long = await queue.add('long', {}, { attempts: 1 });
  await until('it runs', () => hasty.of('active').length === 1);
  assert.equal(await hasty.stop(), 0);
  assert.equal(await queue.getJobState(long.id), 'waiting');
  assert.equal((await queue.getJob(long.id)).attemptsMade, 0);
}));

test('pause and resume of a worker', () => withQueue(async (queue, name) => {
  const worker = new CppWorker(server, name);
  await worker.ready();
  worker.process.kill('SIGUSR1');
  // Paused: its BZPOPMIN is broken off, so the marker stays for others.
  await until('it does not wait any more', async () => /blocked_clients:0/.test(await server.client.info('clients')));
  await queue.add('j', {});
  assert.equal(await completed(queue), 0);
  worker.process.kill('SIGUSR2');
  await until('it is done', async () => await completed(queue) === 1);
  assert.equal(await worker.stop(), 0);
}));

test('a worker that stood still loses its job to another one and does not finish it again', () => withQueue(async (queue, name) => {
  const fast = ['--lock-ms', '800', '--stalled-ms', '300', '--max-stalled', '9'];
  const first = new CppWorker(server, name, '--sleep-ms', '1500', ...fast);
  const job = await queue.add('j', { x: 1 });
  await until('it runs', () => first.of('active').length === 1);
  first.process.kill('SIGSTOP');
  const second = new CppWorker(server, name, ...fast);
  await until('the other has done it', async () => await completed(queue) === 1);
  first.process.kill('SIGCONT');
  await until('the first is told', () => first.of('lock_lost').length > 0);
  // It is of use again.
  assert.equal(await second.stop(), 0);
  await queue.add('next', {});
  await until('it goes on', async () => await completed(queue) === 2);
  const done = await queue.getJob(job.id);
  assert.deepEqual([done.attemptsStarted, done.stalledCounter, done.attemptsMade], [2, 1, 1]);
  const ends = (await server.client.xrange(`bull:${name}:events`, '-', '+')).filter(([, f]) => f[1] === 'completed' && f[3] === job.id);
  assert.equal(ends.length, 1);
  assert.equal(await first.stop(), 0);
}));

test('the lock is lost while the processor does not listen: nothing is written by it', () => withQueue(async (queue, name) => {
  const worker = new CppWorker(server, name, '--sleep-ms', '600', '--deaf', '--lock-ms', '30000');
  const job = await queue.add('j', {});
  await until('it runs', () => worker.of('active').length === 1);
  await server.client.set(`bull:${name}:${job.id}:lock`, 'somebody else', 'PX', 60000);
  await until('its finish was refused', () => worker.of('lock_lost').length > 0);
  assert.equal(await queue.getJobState(job.id), 'active');
  assert.equal(await server.client.get(`bull:${name}:${job.id}:lock`), 'somebody else');
  assert.equal(await worker.stop(), 0);
}));

test('clocks that differ: jobs from an hour ahead and from an hour ago run at once, each once', () => withQueue(async (queue, name) => {
  const hour = 3_600_000;
  await queue.add('ahead', {}, { timestamp: Date.now() + hour });
  await queue.add('behind', {}, { timestamp: Date.now() - hour, attempts: 2, backoff: { type: 'fixed', delay: 50 } });
  await queue.add('overdue', {}, { timestamp: Date.now() - hour, delay: 60_000 });
  const worker = new CppWorker(server, name);
  await until('all are done', async () => await completed(queue) === 3);
  assert.ok((await queue.getJobs('completed')).every(job => job.attemptsStarted === 1));
  assert.equal(await worker.stop(), 0);
}));

test('a Node worker dies: ours takes its job', () => withQueue(async (queue, name) => {
  const node = new Worker(name, null, { connection: server.connection, lockDuration: 700, skipStalledCheck: true });
  const job = await queue.add('j', {});
  await node.getNextJob('gone');
  await node.close(true);
  const worker = new CppWorker(server, name, '--stalled-ms', '400', '--max-stalled', '3');
  await until('it is done', async () => await completed(queue) === 1);
  assert.equal((await queue.getJob(job.id)).stalledCounter, 1);
  assert.equal(await worker.stop(), 0);
}));

test('a small storm: both kinds of workers are killed, connections cut, scripts flushed', async t => {
  const figures = await storm({ jobs: 3000, seed: Number(process.env.STORM_SEED ?? Date.now() % 1e9), say: text => t.diagnostic(text) });
  t.diagnostic(JSON.stringify(figures));
  assert.ok(figures.kills > 0);
  assert.deepEqual(figures.violations, { lost: 0, twice: 0, failed: 0, left: 0 }, `seed ${figures.seed}`);
});
