// Node's producers, workers, events and getters on one side, this library on the other.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { cppAdd, CppWorker, Driver, Queue, QueueEvents, RedisServer, until, Worker } from './support.mjs';

let server;
before(async () => { server = await RedisServer.start(); });
after(() => server.stop());

let counter = 0;
async function withQueue(body) {
  const name = `x${++counter}`;
  const queue = new Queue(name, { connection: server.connection });
  const events = new QueueEvents(name, { connection: server.connection });
  await events.waitUntilReady();
  try {
    await body(queue, events, name);
  } finally {
    CppWorker.killLeftOvers();
    await events.close();
    await queue.close();
  }
}

const completed = queue => queue.getJobCountByTypes('completed');
const counts = queue => queue.getJobCounts('completed', 'failed', 'delayed', 'wait', 'active', 'prioritized');

test('the scripts are those of the installed package', async () => {
  const { version } = createRequire(import.meta.url)('bullmq/package.json');
  await withQueue(async (queue, events, name) => {
    await cppAdd(server, name);
    assert.equal(await queue.getVersion(), `bullmq:${version}`);
  });
});

test('Node adds, C++ works: plain, delayed, priority, retried, unrecoverable', () => withQueue(async (queue, events, name) => {
  const order = [];
  events.on('active', ({ jobId }) => order.push(jobId));
  const plain = await queue.add('plain', { a: 1 });
  const third = await queue.add('third', {}, { priority: 9 });
  const second = await queue.add('second', {}, { priority: 2 });
  const delayed = await queue.add('delayed', { late: true }, { delay: 1500 });
  const worker = new CppWorker(server, name, '--name', 'w1', '--progress');
  assert.deepEqual(await plain.waitUntilFinished(events, 20_000), { a: 1 });
  assert.deepEqual(await delayed.waitUntilFinished(events, 20_000), { late: true });
  assert.deepEqual(order, [plain.id, second.id, third.id, delayed.id]);
  const done = await queue.getJob(delayed.id);
  assert.equal(done.processedBy, 'w1');
  assert.equal(done.progress, 50);
  assert.ok(done.processedOn >= done.timestamp + 1500, 'not too early');
  assert.deepEqual((await queue.getJobLogs(plain.id)).logs, ['half of plain']);
  assert.deepEqual((await queue.getWorkers()).map(({ name: n }) => n), [name]);
  assert.equal(await worker.stop(), 0);

  const flaky = new CppWorker(server, name, '--fail-first', '2');
  const retried = await queue.add('retried', { r: 1 }, { attempts: 3, backoff: { type: 'fixed', delay: 50 } });
  assert.deepEqual(await retried.waitUntilFinished(events, 20_000), { r: 1 });
  const job = await queue.getJob(retried.id);
  assert.deepEqual([job.attemptsMade, job.attemptsStarted, job.stacktrace.length], [3, 3, 2]);
  const exhausted = await queue.add('exhausted', {}, { attempts: 2 });
  await assert.rejects(exhausted.waitUntilFinished(events, 20_000), /attempt 2 fails/);
  assert.equal(await flaky.stop(), 0);

  const stubborn = new CppWorker(server, name, '--fail-first', '9', '--unrecoverable');
  const final = await queue.add('final', {}, { attempts: 5 });
  await assert.rejects(final.waitUntilFinished(events, 20_000), /attempt 1 fails/);
  assert.equal((await queue.getJob(final.id)).attemptsMade, 1);
  assert.equal(await stubborn.stop(), 0);
  assert.deepEqual(await counts(queue), { completed: 5, failed: 2, delayed: 0, wait: 0, active: 0, prioritized: 0 });
}));

test('C++ adds, Node works', () => withQueue(async (queue, events, name) => {
  const seen = [];
  const worker = new Worker(name, async job => { seen.push([job.id, job.name, job.data, job.opts.attempts]); return 'ok'; }, { connection: server.connection });
  const done = new Set();
  events.on('completed', ({ jobId }) => done.add(jobId));
  const [one] = await cppAdd(server, name, '--name', 'n', '--data', '{"ü":[1,2]}', '--attempts', '4');
  const [own] = await cppAdd(server, name, '--job-id', 'run-7', '--delay', '100');
  const many = await cppAdd(server, name, '--count', '50', '--priority', '3');
  await until('all are done', () => done.size === 52);
  assert.deepEqual(seen.find(([id]) => id === one), [one, 'n', { 'ü': [1, 2] }, 4]);
  assert.equal(own, 'run-7');
  assert.equal(new Set(many).size, 50);
  await worker.close();
}));

test('events and getters look the same from both sides', () => withQueue(async (queue, events, name) => {
  const heard = [];
  for (const kind of ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'delayed', 'drained', 'paused', 'resumed', 'removed', 'duplicated', 'retries-exhausted']) {
    events.on(kind, () => heard.push(kind));
  }
  const driver = new Driver(server, name);
  await driver.do({ op: 'add', opts: { jobId: 'run-1' }, raw: '{"do":"report"}' });
  await driver.do({ op: 'add', opts: { jobId: 'run-1' } });
  await driver.do({ op: 'add', raw: '{"do":"fail"}' });
  await driver.do({ op: 'add', opts: { delay: 60000 } });
  await driver.do({ op: 'work', until: 2 });
  await driver.do({ op: 'pause' });
  await driver.do({ op: 'resume' });
  await driver.do({ op: 'remove', id: 'run-1' });
  await until('all events', () => heard.includes('removed'));
  for (const kind of ['added', 'waiting', 'active', 'progress', 'completed', 'failed', 'delayed', 'paused', 'resumed', 'duplicated', 'retries-exhausted']) {
    assert.ok(heard.includes(kind), `${kind} was not heard of`);
  }
  const { ok } = await driver.do({ op: 'counts' });
  assert.deepEqual(ok, await queue.getJobCounts(...Object.keys(ok)));
  for (const id of ['3', '4', 'nothing']) {
    assert.equal((await driver.do({ op: 'state', id })).ok, await queue.getJobState(id));
  }
  await driver.stop();
}));

test('an idle worker wakes at once, and for a delayed job when it is due', () => withQueue(async (queue, events, name) => {
  const worker = new CppWorker(server, name);
  await worker.ready();
  await until('it waits', async () => (await server.client.info('clients')).includes('blocked_clients:2')); // and QueueEvents
  const job = await queue.add('now', {});
  await job.waitUntilFinished(events, 20_000);
  const { processedOn, timestamp } = await queue.getJob(job.id);
  assert.ok(processedOn - timestamp < 1000, `took ${processedOn - timestamp} ms, a blocking wait is 5000`);
  const late = await queue.add('late', {}, { delay: 1000 });
  await late.waitUntilFinished(events, 20_000);
  const done = await queue.getJob(late.id);
  const lateness = done.processedOn - done.timestamp - 1000;
  assert.ok(lateness >= 0 && lateness < 1000, `late by ${lateness} ms`);
  assert.equal(await worker.stop(), 0);
}));

test('both kinds of workers share a queue and do every job once', () => withQueue(async (queue, events, name) => {
  await queue.addBulk(Array.from({ length: 400 }, (_, i) => ({ name: 'j', data: { i } })));
  const node = new Worker(name, async job => job.data, { connection: server.connection, concurrency: 4 });
  const cpp = new CppWorker(server, name, '--concurrency', '4', '--sleep-ms', '1');
  await until('all are done', async () => (await queue.getJobCountByTypes('completed')) === 400);
  const jobs = await queue.getJobs('completed');
  assert.ok(jobs.every(job => job.attemptsStarted === 1 && job.returnvalue.i === job.data.i));
  assert.ok(cpp.of('completed').length > 0, 'the C++ worker had its share');
  await node.close();
  assert.equal(await cpp.stop(), 0);
}));

test('schedulers of either side are continued by the other', () => withQueue(async (queue, events, name) => {
  await queue.upsertJobScheduler('s', { every: 200 }, { name: 'tick', data: { t: 1 } });
  const worker = new CppWorker(server, name);
  await until('C++ runs it', async () => (await queue.getJobCountByTypes('completed')) >= 3);
  assert.equal(await worker.stop(), 0);
  const before = await queue.getJobCountByTypes('completed');
  const node = new Worker(name, async () => 1, { connection: server.connection });
  await until('Node goes on', async () => (await queue.getJobCountByTypes('completed')) >= before + 2);
  await node.close();
  const info = await queue.getJobScheduler('s');
  assert.ok(info.iterationCount >= 5);
}));

test('a lock that is renewed never stalls', () => withQueue(async (queue, events, name) => {
  const fast = ['--lock-ms', '1500', '--stalled-ms', '500', '--concurrency', '4'];
  const workers = [new CppWorker(server, name, '--sleep-ms', '4000', ...fast), new CppWorker(server, name, '--sleep-ms', '4000', ...fast)];
  await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'j', data: {} })));
  await until('all are done', async () => await completed(queue) === 6);
  assert.ok((await queue.getJobs('completed')).every(job => job.attemptsStarted === 1));
  for (const worker of workers) assert.equal(await worker.stop(), 0);
}));

test('jobs that take their time run beside each other', () => withQueue(async (queue, events, name) => {
  const order = [];
  for (const kind of ['progress', 'completed']) events.on(kind, ({ jobId }) => order.push(`${kind} ${jobId}`));
  const added = await queue.addBulk(Array.from({ length: 4 }, () => ({ name: 'j', data: {} })));
  const worker = new CppWorker(server, name, '--concurrency', '4', '--sleep-ms', '2000', '--progress');
  await until('all are done', () => order.length === 8);
  assert.deepEqual(order.slice(0, 4).sort(), added.map(({ id }) => `progress ${id}`).sort(), order.join(', '));
  assert.equal(await worker.stop(), 0);
}));

test('5,000 jobs at concurrency 10, each exactly once', () => withQueue(async (queue, events, name) => {
  for (let i = 0; i < 5; ++i) {
    await queue.addBulk(Array.from({ length: 1000 }, (_, k) => ({ name: 'j', data: { n: i * 1000 + k } })));
  }
  const worker = new CppWorker(server, name, '--concurrency', '10', '--quiet');
  await until('all are done', async () => await completed(queue) === 5000, 60_000);
  const jobs = await queue.getJobs('completed');
  assert.equal(new Set(jobs.map(job => job.returnvalue.n)).size, 5000);
  assert.ok(jobs.every(job => job.attemptsStarted === 1 && job.attemptsMade === 1 && job.returnvalue.n === job.data.n));
  assert.equal(await worker.stop(), 0);
}));
