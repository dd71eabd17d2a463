// The same scenario once by Node's bullmq and once by this library: afterwards Redis must hold the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Driver, DelayedError, dump, FlowProducer, Queue, RedisServer, UnrecoverableError, until, WaitingError, Worker } from './support.mjs';

let server;
before(async () => { server = await RedisServer.start(); });
after(() => server.stop());

const shortKeys = { deduplication: 'de', keepLogs: 'kl', failParentOnFailure: 'fpof', continueParentOnFailure: 'cpof', ignoreDependencyOnFailure: 'idof', removeDependencyOnFailure: 'rdof' };
const stored = opts => opts && Object.fromEntries(Object.entries(opts).map(([key, value]) => [shortKeys[key] ?? key, value]));
const storedJob = job => ({ ...job, opts: stored(job.opts), ...(job.data === undefined ? {} : { raw: JSON.stringify(job.data) }) });

// The Node side: what a job's data says it wants to become (driver.cpp reads the same).
async function processor(job, token) {
  const { do: what = 'complete', ms, result, times = 99, delay } = job.data;
  if (ms) await new Promise(resolve => setTimeout(resolve, ms));
  if (what === 'complete') return result ?? null;
  if (what === 'report') {
    await job.updateProgress({ rows: 5 });
    await job.log('first row');
    await job.log('second row');
    return 'done';
  }
  if (what === 'fail' && job.attemptsMade < times) throw new Error(`boom ${job.attemptsMade + 1}`);
  if (what === 'unrecoverable') throw new UnrecoverableError('never again');
  if (what === 'delay' && job.attemptsStarted === 1) {
    await job.moveToDelayed(Date.now() + delay, token);
    throw new DelayedError();
  }
  if (what === 'wait' && job.attemptsStarted === 1) {
    await job.moveToWait(token);
    throw new WaitingError();
  }
  return 'again';
}

class NodeSide {
  constructor(name) {
    this.name = name;
    this.queue = new Queue(name, { connection: server.connection });
  }

  async do({ op, id, ...o }) {
    const { queue } = this;
    const job = () => queue.getJob(id);
    switch (op) {
      case 'add': return (await queue.add(o.name ?? 'job', o.data ?? {}, o.opts)).id;
      case 'addBulk': return (await queue.addBulk(o.jobs.map(j => ({ name: 'job', data: {}, ...j })))).map(j => j.id);
      case 'work': return this.work(o);
      case 'state': return queue.getJobState(id);
      case 'remove': return (await queue.remove(id)) === 1;
      case 'retry': return (await job()).retry(o.state ?? 'failed', { resetAttemptsMade: o.resetMade, resetAttemptsStarted: o.resetStarted });
      case 'promote': return (await job()).promote();
      case 'changeDelay': return (await job()).changeDelay(o.delay);
      case 'changePriority': return (await job()).changePriority({ priority: o.priority, lifo: o.lifo });
      case 'updateData': return (await job()).updateData(o.data);
      case 'updateProgress': return (await job()).updateProgress(o.data);
      case 'addLog': return queue.addJobLog(id, o.row, o.keep);
      case 'upsertScheduler': return (await queue.upsertJobScheduler(id, { every: o.every, pattern: o.pattern, immediately: o.immediately, limit: o.limit }, { name: o.name ?? 'job', data: o.data, opts: o.opts })).id;
      case 'removeScheduler': return queue.removeJobScheduler(id);
      case 'pause': return queue.pause();
      case 'resume': return queue.resume();
      case 'drain': return queue.drain(o.delayed);
      case 'clean': return queue.clean(o.grace ?? 0, o.limit ?? 0, o.state);
      case 'obliterate': return queue.obliterate({ force: o.force });
      case 'retryJobs': return queue.retryJobs();
      case 'promoteJobs': return queue.promoteJobs();
      case 'setConcurrency': return queue.setGlobalConcurrency(o.value);
      default: throw new Error(`unknown op ${op}`);
    }
  }

  async work({ until: count = 1, name, keep, metrics, ...o }) {
    let ended = 0;
    const worker = new Worker(this.name, async (job, token) => {
      try { return await processor(job, token); } catch (error) {
        if (error instanceof DelayedError || error instanceof WaitingError) ++ended;
        throw error;
      }
    }, { connection: server.connection, name, ...keep, ...(metrics ? { metrics: { maxDataPoints: metrics } } : {}), ...o,
      drainDelay: (o.drainDelay ?? 5000) / 1000 });
    worker.on('completed', () => ++ended).on('failed', () => ++ended).on('error', () => {});
    await until('the jobs end', () => ended >= count);
    await worker.close();
  }

  stop() { return this.queue.close(); }
}

class CppSide {
  constructor(name) { this.driver = new Driver(server, name); }
  async do(command) {
    const answer = await this.driver.do({ ...storedJob(command), ...(command.jobs ? { jobs: command.jobs.map(storedJob) } : {}) });
    assert.equal(answer.error, undefined, JSON.stringify(answer));
    return answer.ok;
  }
  stop() { return this.driver.stop(); }
}

const add = (opts, data, name) => ({ op: 'add', opts, ...(data ? { data } : {}), ...(name ? { name } : {}) });
const work = (count, more) => ({ op: 'work', until: count, ...more });

// A step may be a function that sets something up in both runs alike (with Node or plain Redis).
const takeAndAbandon = async (redis, prefix, queue) => {
  const worker = new Worker(queue, null, { connection: server.connection, lockDuration: 50, skipStalledCheck: true });
  const job = await worker.getNextJob('abandoned');
  await until('lock expires', async () => !(await redis.exists(`${prefix}${job.id}:lock`)));
  await redis.sadd(`${prefix}stalled`, job.id);
  await redis.del(`${prefix}stalled-check`);
  await worker.close(true);
};
const flow = childOpts => async (redis, prefix, queue) => {
  const producer = new FlowProducer({ connection: server.connection });
  await producer.add({ name: 'parent', queueName: queue, data: {}, opts: { jobId: 'p' }, children: [
    { name: 'child', queueName: queue, data: { result: 1 }, opts: { jobId: 'c1' } },
    { name: 'child', queueName: queue, data: childOpts ? { do: 'fail' } : { result: 2 }, opts: { jobId: 'c2', ...childOpts } }] });
  await producer.close();
};
const hset = (suffix, ...fields) => (redis, prefix) => redis.hset(`${prefix}${suffix}`, ...fields);

const scenarios = {
  'add': [add(), add(undefined, { a: 'ü/\u2028', n: [1, 2.5, null] }, 'other')],
  'add with own id, twice': [add({ jobId: 'run-1' }), add({ jobId: 'run-1' }, { other: true })],
  'add delayed': [add({ delay: 60000 }), add({ delay: 1000, priority: 3 })],
  'add with priorities': [add({ priority: 5 }), add({ priority: 1 }), add({ priority: 5 }), add()],
  'add lifo': [add(), add({ lifo: true })],
  'add with every option': [add({ attempts: 3, backoff: { type: 'exponential', delay: 1000, jitter: 0.5 }, removeOnComplete: true, removeOnFail: { age: 3600, count: 7 }, keepLogs: 5, stackTraceLimit: 2, sizeLimit: 1000, timestamp: 1700000000000 })],
  'deduplicate': [add({ deduplication: { id: 'd' } }), add({ deduplication: { id: 'd' } }, { second: 1 })],
  'deduplicate with ttl': [add({ deduplication: { id: 'd', ttl: 60000, extend: true } }), add({ deduplication: { id: 'd', ttl: 60000, extend: true } })],
  'deduplicate by replacing': [add({ delay: 60000, deduplication: { id: 'd', ttl: 60000, replace: true } }), add({ delay: 60000, deduplication: { id: 'd', ttl: 60000, replace: true } }, { new: 1 })],
  'deduplicate, keep last if active': [add({ deduplication: { id: 'd', keepLastIfActive: true } }), add({ deduplication: { id: 'd', keepLastIfActive: true } }, { last: 1 })],
  'add bulk of all kinds': [{ op: 'addBulk', jobs: [{}, { opts: { delay: 60000 } }, { opts: { priority: 2 } }, { name: 'x', data: { y: 1 }, opts: { lifo: true } }] }],
  'complete': [add(undefined, { result: { rows: 3 } }), work(1)],
  'complete several, named worker': [add(), add(), add({ priority: 1 }), work(3, { name: 'w1' })],
  'report progress and logs': [add(undefined, { do: 'report' }), work(1)],
  'keep one log row': [add({ keepLogs: 1 }, { do: 'report' }), work(1)],
  'fail': [add(undefined, { do: 'fail' }), work(1)],
  'fail and retry at once': [add({ attempts: 3 }, { do: 'fail', times: 2 }), work(3)],
  'fail, retry lifo, exhausted': [add({ attempts: 2, lifo: true }, { do: 'fail' }), work(2)],
  'fail with backoff': [add({ attempts: 2, backoff: { type: 'fixed', delay: 60000 } }, { do: 'fail' }), work(1)],
  'fail with backoff and run again': [add({ attempts: 2, backoff: { type: 'exponential', delay: 30 } }, { do: 'fail', times: 1 }), work(2)],
  'fail with priority and retry': [add({ attempts: 2, priority: 4 }, { do: 'fail', times: 1 }), work(2)],
  'fail for good': [add({ attempts: 5 }, { do: 'unrecoverable' }), work(1)],
  'cut the stack traces': [add({ attempts: 3, stackTraceLimit: 1 }, { do: 'fail' }), work(3)],
  'back to wait': [add(undefined, { do: 'wait' }), work(2)],
  'remove on complete': [add({ removeOnComplete: true }), work(1)],
  'keep the last completed': [add({ removeOnComplete: 1 }), add({ removeOnComplete: 1 }), work(2)],
  'keep by age': [add(), work(1), add({ removeOnComplete: { age: 3600, count: 10 } }), work(1)],
  'worker keeps nothing': [add(), add(undefined, { do: 'fail' }), work(2, { keep: { removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } } })],
  'remove on fail': [add({ removeOnFail: true }, { do: 'fail' }), work(1)],
  'worker metrics': [add(), add(undefined, { do: 'fail' }), work(2, { metrics: 10 })],
  'too many starts': [add({ attempts: 9 }, { do: 'fail' }), work(2, { maxStartedAttempts: 2 })],
  'pause, add, resume': [{ op: 'pause' }, add(), add({ priority: 1 }), { op: 'resume' }, work(2)],
  'promote': [add({ delay: 60000 }), { op: 'promote', id: '1' }],
  'promote all': [add({ delay: 60000 }), add({ delay: 60000, priority: 2 }), { op: 'promoteJobs' }],
  'retry a failed one': [add(undefined, { do: 'fail', times: 1 }), work(1), { op: 'retry', id: '1', resetMade: true, resetStarted: true }, work(1)],
  'retry a completed one': [add(), work(1), { op: 'retry', id: '1', state: 'completed' }],
  'retry all failed': [add(undefined, { do: 'fail' }), add(undefined, { do: 'fail' }), work(2), { op: 'retryJobs' }],
  'remove': [add(), add({ delay: 1000 }), { op: 'remove', id: '1' }, { op: 'remove', id: '2' }],
  'drain': [add(), add({ priority: 2 }), add({ delay: 60000 }), { op: 'drain' }],
  'drain with delayed': [add(), add({ delay: 60000 }), { op: 'drain', delayed: true }],
  'clean': [add(), add(undefined, { do: 'fail' }), work(2), { op: 'clean', state: 'completed' }, { op: 'clean', state: 'failed' }],
  'obliterate': [add(), add({ delay: 60000 }), add(), work(1), { op: 'obliterate' }],
  'change delay, priority, data, progress, log': [add({ delay: 60000 }), add({ priority: 2 }), add(), { op: 'changeDelay', id: '1', delay: 1000 }, { op: 'changePriority', id: '2', priority: 7 }, { op: 'changePriority', id: '3', priority: 1 }, { op: 'updateData', id: '3', data: { z: 1 } }, { op: 'updateProgress', id: '3', data: 42 }, { op: 'addLog', id: '3', row: 'hello' }],
  'global concurrency': [{ op: 'setConcurrency', value: 1 }, add(), add(), work(2)],
  'scheduler every': [{ op: 'upsertScheduler', id: 's', every: 3600000, data: { a: 1 }, opts: { attempts: 3 } }],
  'scheduler every, first run': [{ op: 'upsertScheduler', id: 's', every: 3600000 }, work(1)],
  'scheduler every, upsert twice': [{ op: 'upsertScheduler', id: 's', every: 3600000 }, { op: 'upsertScheduler', id: 's', every: 3600000, name: 'renamed', data: { b: 2 } }],
  'scheduler with a limit': [{ op: 'upsertScheduler', id: 's', every: 3600000, limit: 1 }, work(1)],
  'scheduler pattern': [{ op: 'upsertScheduler', id: 's', pattern: '*/30 * * * * *' }],
  'scheduler pattern, immediately, first run': [{ op: 'upsertScheduler', id: 's', pattern: '*/30 * * * * *', immediately: true, opts: { removeOnComplete: 5 } }, work(1)],
  'remove a scheduler': [{ op: 'upsertScheduler', id: 's', every: 3600000 }, { op: 'removeScheduler', id: 's' }],
  'take over a stalled job': [add(), takeAndAbandon, work(1)],
  'fail a job that stalled too often': [add({ attempts: 3 }), takeAndAbandon, work(1, { maxStalledCount: 0 })],
  'deferred failure': [add({ attempts: 3 }), hset('1', 'defa', 'somebody decided'), work(1)],
  'flow': [{ op: 'state', id: 'p' }, flow(), work(3)],
  'flow with a failing child: parent fails': [{ op: 'state', id: 'p' }, flow({ failParentOnFailure: true }), work(3)],
  'flow with a failing child: ignored': [{ op: 'state', id: 'p' }, flow({ ignoreDependencyOnFailure: true }), work(3)],
  'flow with a failing child: parent goes on': [{ op: 'state', id: 'p' }, flow({ continueParentOnFailure: true }), work(3)],
};

async function play(side, queue, steps) {
  const prefix = `bull:${queue}:`;
  const answers = [];
  try {
    for (const step of steps) {
      const answer = typeof step === 'function' ? await step(server.client, prefix, queue) : await side.do(step);
      if (step.op && ['add', 'addBulk', 'state', 'remove', 'clean'].includes(step.op)) answers.push(answer);
    }
  } finally {
    await side.stop();
  }
  return { answers, state: await dump(server.client, prefix) };
}

let counter = 0;
for (const [name, steps] of Object.entries(scenarios)) {
  test(name, async t => {
    // The same queue name twice, so that names inside of values are equal too.
    const queue = `q${++counter}`;
    const start = Date.now();
    const node = await play(new NodeSide(queue), queue, steps);
    const middle = Date.now();
    await server.client.flushall();
    const cpp = await play(new CppSide(queue), queue, steps);
    await server.client.flushall();
    t.diagnostic(`Node ${middle - start} ms, C++ ${Date.now() - middle} ms`);
    assert.deepEqual(cpp, node);
  });
}

test('the comparison notices a single different byte', async () => {
  const node = await play(new NodeSide('check'), 'check', [add()]);
  const prefix = 'bull:check:';
  await server.client.hset(`${prefix}1`, 'data', '{ }');
  assert.notDeepEqual({ answers: node.answers, state: await dump(server.client, prefix) }, node);
});
