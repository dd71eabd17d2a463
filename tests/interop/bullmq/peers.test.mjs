// Others who share our queues: workers and producers of bullmq 5.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { cppAdd, CppWorker, Driver, RedisServer, until } from './support.mjs';

const require = createRequire(import.meta.url);
const five = require('bullmq5');

let server;
before(async () => { server = await RedisServer.start(); });
after(() => server.stop());

let counter = 0;
async function withQueue(make, body) {
  const name = `p${++counter}`;
  const queue = new make(name, { connection: server.connection });
  try {
    await body(queue, name);
  } finally {
    CppWorker.killLeftOvers();
    await queue.close();
  }
}

const { version } = require('bullmq5/package.json');

test(`bullmq ${version} adds, C++ works`, () => withQueue(five.Queue, async (queue, name) => {
  const plain = await queue.add('plain', { a: 1 });
  const delayed = await queue.add('delayed', { b: 1 }, { delay: 300 });
  const first = await queue.add('first', { c: 1 }, { priority: 1 });
  const failing = await queue.add('bulk', {}, { attempts: 2, backoff: { type: 'exponential', delay: 20 } });
  const flow = new five.FlowProducer({ connection: server.connection });
  const { job: parent } = await flow.add({ name: 'parent', queueName: name, data: {}, children: [{ name: 'child', queueName: name, data: { d: 1 } }] });
  await flow.close();
  const worker = new CppWorker(server, name, '--concurrency', '3');
  await until('all are done', async () => (await queue.getJobCounts('completed')).completed === 6);
  assert.deepEqual((await queue.getJob(delayed.id)).returnvalue, { b: 1 });
  assert.deepEqual(Object.values(await (await queue.getJob(parent.id)).getChildrenValues()), [{ d: 1 }]);
  for (const { id } of [plain, first, failing]) assert.equal((await queue.getJob(id)).attemptsMade, 1);
  assert.equal(await worker.stop(), 0);
}));

test(`C++ adds, bullmq ${version} works`, () => withQueue(five.Queue, async (queue, name) => {
  const worker = new five.Worker(name, async job => {
    if (job.name === 'flaky' && job.attemptsMade < 1) throw new Error('once');
    return job.data;
  }, { connection: server.connection });
  await cppAdd(server, name, '--count', '20', '--data', '{"x":1}');
  await cppAdd(server, name, '--delay', '200');
  await cppAdd(server, name, '--priority', '2');
  const [flaky] = await cppAdd(server, name, '--name', 'flaky', '--attempts', '3', '--backoff', '20');
  const driver = new Driver(server, name);
  const { ok: parent } = await driver.do({ op: 'flow', flow: { name: 'parent', children: [{ name: 'child' }, { name: 'child' }] } });
  await until('all are done', async () => (await queue.getJobCounts('completed')).completed === 26);
  assert.equal((await queue.getJob(flaky)).attemptsMade, 2);
  assert.equal(await queue.getJobState(parent), 'completed');
  await driver.stop();
  await worker.close();
}));

test(`bullmq ${version} and C++ workers share a queue`, () => withQueue(five.Queue, async (queue, name) => {
  await queue.addBulk(Array.from({ length: 300 }, (_, i) => ({ name: 'j', data: { i } })));
  const theirs = new five.Worker(name, async job => job.data, { connection: server.connection, concurrency: 3 });
  const ours = new CppWorker(server, name, '--concurrency', '3', '--sleep-ms', '1');
  await until('all are done', async () => (await queue.getJobCounts('completed')).completed === 300);
  const jobs = await queue.getJobs(['completed']);
  assert.ok(jobs.every(job => job.attemptsMade === 1 && job.returnvalue.i === job.data.i));
  assert.ok(ours.of('completed').length > 0);
  await theirs.close();
  assert.equal(await ours.stop(), 0);
}));
