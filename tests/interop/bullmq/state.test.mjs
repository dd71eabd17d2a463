// The same scenario once by Node's bullmq and once by this library: afterwards Redis must hold the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Driver, DelayedError, dump, FlowProducer, Queue, QueueEvents, QueueEventsProducer, RateLimitError, RedisServer, UnrecoverableError, until, WaitingChildrenError, WaitingError, Worker } from './support.mjs';

let server;
before(async () => { server = await RedisServer.start(); });
after(() => server.stop());

const shortKeys = { deduplication: 'de', keepLogs: 'kl', failParentOnFailure: 'fpof', continueParentOnFailure: 'cpof', ignoreDependencyOnFailure: 'idof', removeDependencyOnFailure: 'rdof' };
const stored = opts => opts && Object.fromEntries(Object.entries(opts).map(([key, value]) => [shortKeys[key] ?? key, value]));
const storedTree = node => ({ ...storedJob(node), ...(node.children ? { children: node.children.map(storedTree) } : {}) });
const storedJob = job => ({ ...job, opts: stored(job.opts), ...(job.data === undefined ? {} : { raw: JSON.stringify(job.data) }) });

// The Node side: what a job's data says it wants to become (driver.cpp reads the same).
async function processor(job, token, worker, queue) {
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
  if (what === 'children') {
    if (job.attemptsStarted > 1) return job.getChildrenValues();
    await queue.add('child', JSON.parse(job.data.child ?? '{}'), { jobId: 'kid', parent: { id: job.id, queue: job.queueQualifiedName }, ...(job.data.mind ? { failParentOnFailure: true } : {}) });
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
  }
  if (what === 'no children') {
    await job.updateProgress(1);
    assert.equal(await job.moveToWaitingChildren(token), false);
  }
  if (what === 'steps' && !job.data.step) {
    await job.updateData({ ...job.data, step: 2 });
    await job.moveToDelayed(Date.now() + 30, token);
    throw new DelayedError();
  }
  if (what === 'limit' && job.attemptsStarted === 1) {
    await worker.rateLimit(300);
    throw new RateLimitError();
  }
  return 'again';
}
const handedBack = error => [DelayedError, WaitingError, WaitingChildrenError, RateLimitError].some(kind => error instanceof kind);

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
      case 'upsertScheduler': return (await queue.upsertJobScheduler(id, { every: o.every, pattern: o.pattern, immediately: o.immediately, limit: o.limit, offset: o.offset, startDate: o.startDate, endDate: o.endDate, tz: o.tz }, { name: o.name ?? 'job', data: o.data, opts: o.opts })).id;
      case 'removeScheduler': return queue.removeJobScheduler(id);
      case 'pause': return queue.pause();
      case 'resume': return queue.resume();
      case 'drain': return queue.drain(o.delayed);
      case 'clean': return queue.clean(o.grace ?? 0, o.limit ?? 0, o.state);
      case 'obliterate': return queue.obliterate({ force: o.force });
      case 'retryJobs': return queue.retryJobs();
      case 'promoteJobs': return queue.promoteJobs();
      case 'retryCompleted': return queue.retryJobs({ state: 'completed' });
      case 'addStream': return queue.addBulk(Array.from({ length: o.count }, () => ({ name: 'job', data: {} })));
      case 'flow': return (await this.flow(producer => producer.add(this.tree(o.flow)))).job.id;
      case 'flowBulk': return (await this.flow(producer => producer.addBulk(o.flows.map(flow => this.tree(flow))))).length;
      case 'flowTree': {
        const shape = ({ job: j, children = [] }) => ({ name: j.name, id: j.id, children: children.map(shape) });
        const found = await this.flow(producer => producer.getFlow({ queueName: this.name, id }));
        return found ? shape(found) : null;
      }
      case 'children': {
        const found = await (await job()).getDependencies();
        return { ...found, unprocessed: found.unprocessed.sort() };
      }
      case 'childCounts': {
        const n = await (await job()).getDependenciesCount();
        return [n.processed, n.unprocessed, n.ignored, n.failed];
      }
      case 'removeChildDependency': return (await job()).removeChildDependency();
      case 'removeUnprocessedChildren': return (await job()).removeUnprocessedChildren();
      case 'ids': return queue.getRanges(o.states, o.start ?? 0, o.end ?? -1, o.asc);
      case 'jobs': return (await queue.getJobs([o.state], o.start ?? 0, o.end ?? -1, o.asc)).map(j => [j.id, j.name, JSON.stringify(j.data)]);
      case 'priorities': return Object.values(await queue.getCountsPerPriority([0, 1, 2, 5]));
      case 'limits': {
        const rate = await queue.getGlobalRateLimit();
        return [await queue.getGlobalConcurrency() ?? 0, rate?.max ?? 0, rate?.duration ?? 0, await queue.isMaxed(), await queue.getRateLimitTtl() > 0, await queue.count(), await queue.getVersion()];
      }
      case 'finished': return this.finished(await job(), o.ms ?? 5000);
      case 'logs': {
        const { logs, count } = await queue.getJobLogs(id, o.start ?? 0, o.end ?? -1, o.asc);
        return [logs, count];
      }
      case 'removeConcurrency': return queue.removeGlobalConcurrency();
      case 'setRateLimit': return queue.setGlobalRateLimit(o.max, o.duration);
      case 'removeRateLimit': return queue.removeGlobalRateLimit();
      case 'rateLimit': return queue.rateLimit(o.ms);
      case 'clearLogs': return (await job()).clearLogs(o.keep);
      case 'removeOrphans': return queue.removeOrphanedJobs();
      case 'releaseDeduplication': return (await job()).removeDeduplicationKey();
      case 'publish': {
        const producer = new QueueEventsProducer(this.name, { connection: server.connection });
        await producer.publishEvent({ eventName: 'custom', who: 'me', what: 'a b' });
        return producer.close();
      }
      case 'setConcurrency': return queue.setGlobalConcurrency(o.value);
      case 'refused': return this.do(o.step).then(() => false, () => true);
      default: throw new Error(`unknown op ${op}`);
    }
  }

  tree(node) {
    return { name: 'job', data: {}, ...node, queueName: this.name, ...(node.children ? { children: node.children.map(child => this.tree(child)) } : {}) };
  }

  async flow(body) {
    const producer = new FlowProducer({ connection: server.connection });
    try { return await body(producer); } finally { await producer.close(); }
  }

  async finished(job, ms) {
    const events = new QueueEvents(this.name, { connection: server.connection });
    await events.waitUntilReady();
    try {
      return [true, JSON.stringify(await job.waitUntilFinished(events, ms))];
    } catch (error) {
      return /timed out/.test(error.message) ? [] : [false, error.message];
    } finally {
      await events.close();
    }
  }

  async work({ until: count = 1, name, keep, metrics, ...o }) {
    let ended = 0;
    const worker = new Worker(this.name, async (job, token) => {
      try { return await processor(job, token, worker, this.queue); } catch (error) {
        if (handedBack(error)) ++ended;
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
    if (command.op === 'refused') return this.do(command.step).then(() => false, error => !/driver|unknown op/.test(error.message));
    const answer = await this.driver.do({ ...storedJob(command), ...(command.jobs ? { jobs: command.jobs.map(storedJob) } : {}),
      ...(command.flow ? { flow: storedTree(command.flow) } : {}), ...(command.flows ? { flows: command.flows.map(storedTree) } : {}) });
    assert.equal(answer.error, undefined, JSON.stringify(answer));
    return answer.ok;
  }
  stop() { return this.driver.stop(); }
}

const add = (opts, data, name) => ({ op: 'add', opts, ...(data ? { data } : {}), ...(name ? { name } : {}) });
const work = (count, more) => ({ op: 'work', until: count, ...more });

// A step may be a function that sets something up in both runs alike (with Node or plain Redis).
const isDue = (redis, prefix) => until('the delayed job is due', async () => Number((await redis.zrange(`${prefix}delayed`, 0, 0, 'WITHSCORES'))[1]) / 4096 < Date.now());
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

const tree = (children, opts) => ({ op: 'flow', flow: { name: 'parent', opts: { jobId: 'p', ...opts }, children } });
const node = (id, data, opts, children) => ({ name: 'child', data, opts: { jobId: id, ...opts }, ...(children ? { children } : {}) });
const failing = { do: 'fail' };
const refused = step => ({ op: 'refused', step });

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
  'produce a flow': [tree([node('a', { result: 1 }), node('b', { result: 2 }, { priority: 3 })]), { op: 'children', id: 'p' }, { op: 'childCounts', id: 'p' }],
  'produce a flow and do it': [tree([node('a', { result: 1 }), node('b', { result: { x: [2] } })]), work(3), { op: 'children', id: 'p' }, { op: 'childCounts', id: 'p' }, { op: 'flowTree', id: 'p' }],
  'produce a flow of three levels': [tree([node('a', {}, {}, [node('c', { result: 3 }), node('d')]), node('b', {}, { delay: 400 })]), { op: 'flowTree', id: 'p' }, work(5), { op: 'state', id: 'p' }],
  'produce a flow, parent with options': [tree([node('a')], { priority: 2, attempts: 3, backoff: { type: 'fixed', delay: 100 }, removeOnComplete: true }), work(2)],
  'produce flows in bulk': [{ op: 'flowBulk', flows: [{ name: 'one', opts: { jobId: 'p1' }, children: [node('a')] }, { name: 'two', opts: { jobId: 'p2' } }, { name: 'three', opts: { jobId: 'p3' }, children: [node('b'), node('c')] }] }, work(6)],
  'produce a flow below a parent': [tree([node('a', { ms: 1 })]), { op: 'flow', flow: { name: 'late', opts: { jobId: 'l', parent: { id: 'p', queue: 'QUALIFIED' } }, children: [node('m')] } }, { op: 'flowTree', id: 'p' }, work(4)],
  'produce a flow below nobody': [refused({ op: 'flow', flow: { name: 'late', opts: { jobId: 'l', parent: { id: 'nobody', queue: 'QUALIFIED' } } } })],
  'produce a flow whose children are done': [add({ jobId: 'a' }), add({ jobId: 'b' }), work(2), tree([node('a'), node('b')]), { op: 'state', id: 'p' }],
  'produce a flow twice': [tree([node('a'), node('b')]), tree([node('a'), node('b')]), work(3)],
  'produce a flow, child fails its parent': [tree([node('a', failing, { failParentOnFailure: true }), node('b', { ms: 1 })]), work(3), { op: 'children', id: 'p' }, { op: 'childCounts', id: 'p' }],
  'produce a flow, child is ignored': [tree([node('a', failing, { ignoreDependencyOnFailure: true }), node('b')]), work(3), { op: 'children', id: 'p' }],
  'produce a flow, child is forgotten': [tree([node('a', failing, { removeDependencyOnFailure: true }), node('b')]), work(3), { op: 'children', id: 'p' }],
  'produce a flow, parent goes on': [tree([node('a', failing, { continueParentOnFailure: true }), node('b', { ms: 1 })]), work(3), { op: 'children', id: 'p' }],
  'produce a flow, failing grandchild fails all': [tree([node('a', {}, { failParentOnFailure: true }, [node('c', failing, { failParentOnFailure: true })])]), work(3), { op: 'state', id: 'p' }],
  'flows that cannot be': [refused(tree([node('a', {}, { deduplication: { id: 'd' } })])), refused(tree([node('a')], { deduplication: { id: 'd' } })), refused(tree([node('7')]))],
  'remove a parent and its children': [tree([node('a'), node('b')]), { op: 'remove', id: 'p' }],
  'remove a child': [tree([node('a'), node('b')]), { op: 'remove', id: 'a' }, { op: 'children', id: 'p' }],
  'take a child from its parent': [tree([node('a'), node('b')]), { op: 'removeChildDependency', id: 'a', parent: 'p' }, work(3)],
  'take the last child from its parent': [tree([node('a')]), { op: 'removeChildDependency', id: 'a', parent: 'p' }, { op: 'state', id: 'p' }],
  'remove the unprocessed children': [tree([node('a'), node('b')]), { op: 'removeUnprocessedChildren', id: 'p' }, { op: 'state', id: 'p' }],
  'add below a parent': [tree([node('a')]), add({ parent: { id: 'p', queue: 'QUALIFIED' } }, { late: 1 }), { op: 'childCounts', id: 'p' }, work(3)],
  'wait for children of its own': [add({ jobId: 'p' }, { do: 'children', child: '{"result":7}' }), work(3)],
  'wait for children that fail it': [add({ jobId: 'p' }, { do: 'children', child: '{"do":"fail"}', mind: true }), work(3)],
  'wait for no children': [add(undefined, { do: 'no children' }), work(1)],
  'in two steps': [add({ attempts: 2 }, { do: 'steps' }), work(2)],
  'limit the rate from inside': [add(undefined, { do: 'limit' }), work(2)],
  'limit the rate of the queue': [{ op: 'rateLimit', ms: 200 }, add(), { op: 'limits' }, work(1)],
  'rate limit of a worker': [add(), add(), add(), work(3, { limiter: { max: 2, duration: 300 } })],
  'global rate limit': [{ op: 'setRateLimit', max: 1, duration: 100 }, { op: 'limits' }, add(), add(), work(2), { op: 'removeRateLimit' }, { op: 'limits' }],
  'global concurrency, set and removed': [{ op: 'setConcurrency', value: 3 }, add(), { op: 'limits' }, { op: 'removeConcurrency' }, { op: 'limits' }],
  'look at lists': [add({ delay: 60000 }), add({ priority: 5 }), add({ priority: 1 }), add(undefined, { a: 1 }), add(undefined, { b: 2 }), { op: 'ids', states: ['wait', 'delayed', 'prioritized'] }, { op: 'ids', states: ['wait', 'prioritized'], asc: true }, { op: 'ids', states: ['wait'], start: 0, end: 0 }, { op: 'jobs', state: 'wait' }, { op: 'jobs', state: 'wait', asc: true }, { op: 'jobs', state: 'prioritized', start: 1 }, { op: 'priorities' }, { op: 'limits' }],
  'how jobs ended': [add(undefined, { result: { a: 1 } }), add(undefined, failing), add({ delay: 60000 }), work(2), { op: 'finished', id: '1' }, { op: 'finished', id: '2' }, { op: 'finished', id: '3', ms: 50 }],
  'look at logs': [add(undefined, { do: 'report' }), work(1), { op: 'addLog', id: '1', row: 'third' }, { op: 'logs', id: '1', asc: true }, { op: 'logs', id: '1', asc: false }, { op: 'logs', id: '1', start: 0, end: 0, asc: false }, { op: 'logs', id: '1', start: 1, end: 1, asc: true }],
  'clear logs': [add(undefined, { do: 'report' }), add(undefined, { do: 'report' }), work(2), { op: 'clearLogs', id: '1', keep: 1 }, { op: 'clearLogs', id: '2' }],
  'publish an event': [add(), { op: 'publish' }],
  'remove orphans': [add(), add(), async (redis, prefix) => { await redis.lrem(`${prefix}wait`, 0, '1'); await redis.rpush(`${prefix}1:logs`, 'x'); }, { op: 'removeOrphans' }],
  'many, one after the other': [{ op: 'addStream', count: 40 }],
  'release a deduplication': [add({ deduplication: { id: 'd' } }), { op: 'releaseDeduplication', id: '1', key: 'd' }, add({ deduplication: { id: 'd' } })],
  'debounce': [add({ delay: 60000, deduplication: { id: 'd', ttl: 60000, extend: true, replace: true } }), add({ delay: 60000, deduplication: { id: 'd', ttl: 60000, extend: true, replace: true } }, { last: 1 })],
  'deduplicate: the key ends with the job': [add({ deduplication: { id: 'd' } }), work(1), add({ deduplication: { id: 'd' } }), work(1)],
  'deduplicate: the last one comes after the active one': [add({ deduplication: { id: 'd', keepLastIfActive: true } }, { ms: 400 }), async (redis, prefix, queue, side) => { const done = side.do(work(2)); await until('it runs', () => redis.llen(`${prefix}active`)); const other = new Queue(queue, { connection: server.connection }); await other.add('job', { second: 1 }, { deduplication: { id: 'd', keepLastIfActive: true } }); await other.add('job', { third: 1 }, { deduplication: { id: 'd', keepLastIfActive: true } }); await other.close(); await done; }],
  'too large, wrong ids, wrong options': [refused(add({ sizeLimit: 4 }, { a: 1 })), refused(add({ jobId: '12' })), refused(add({ jobId: 'a:b' })), refused(add({ priority: 3000000 })), refused(add({ deduplication: {} })), refused(add({ failParentOnFailure: true, ignoreDependencyOnFailure: true })), refused(add({ backoff: { type: 'fixed', delay: 1, jitter: 2 } }))],
  'data of every kind': [add(undefined, { big: 9007199254740991, neg: -1e-7, text: '\u0000\u001f"\\/é漢😀', deep: [[[{}]]], none: null }), add(undefined, { long: 'x'.repeat(100000) }), work(2)],
  'clean what waits': [add(), add(), add({ delay: 60000 }), add({ priority: 1 }), { op: 'clean', state: 'wait', limit: 1 }, { op: 'clean', state: 'delayed' }, { op: 'clean', state: 'prioritized' }],
  'clean spares the young': [add(), work(1), { op: 'clean', state: 'completed', grace: 60000 }],
  'change the priority of one that waits, to the front': [add(), add({ priority: 5 }), add({ priority: 5 }), { op: 'changePriority', id: '3', priority: 5, lifo: true }, { op: 'changePriority', id: '2', priority: 0 }],
  'promote with priority': [add({ delay: 60000, priority: 4 }), { op: 'promote', id: '1' }, work(1)],
  'retry all completed': [add(), add(undefined, { result: 1 }), work(2), { op: 'retryCompleted' }],
  'retry with a lifo job': [add({ lifo: true }, { do: 'fail', times: 1 }), work(1), add(), { op: 'retry', id: '1' }],
  'pause, with what is delayed': [add({ delay: 20 }), { op: 'pause' }, add({ priority: 3 }), { op: 'resume' }, isDue, work(2)],
  'obliterate by force': [add(), takeAndAbandon, { op: 'obliterate', force: true }],
  'custom backoff by exponential steps': [add({ attempts: 4, backoff: { type: 'exponential', delay: 5 } }, { do: 'fail', times: 3 }), work(4)],
  'scheduler with offset, start and end': [{ op: 'upsertScheduler', id: 's', every: 3600000, startDate: Date.now() + 7200000, endDate: Date.now() + 86400000, offset: 1000 }],
  'scheduler pattern with zone and limit': [{ op: 'upsertScheduler', id: 's', pattern: '*/30 * * * * *', tz: 'Europe/Kyiv', limit: 5, opts: { priority: 3 } }],
  'scheduler every to another interval': [{ op: 'upsertScheduler', id: 's', every: 3600000 }, work(1), { op: 'upsertScheduler', id: 's', every: 7200000, data: { x: 1 } }],
  'scheduler every, three runs': [{ op: 'upsertScheduler', id: 's', every: 1000 }, work(2)],
  'scheduler of a job that fails': [{ op: 'upsertScheduler', id: 's', every: 3600000, data: { do: 'fail' }, opts: { attempts: 2 } }, work(2)],
  'the run of a scheduler cannot be removed': [{ op: 'upsertScheduler', id: 's', every: 3600000, startDate: Date.now() + 7200000 }, async (redis, prefix, queue, side) => { const [id] = await redis.zrange(`${prefix}delayed`, 0, -1); await side.do(refused({ op: 'remove', id })).catch(() => {}); }],
  'drain spares schedulers': [{ op: 'upsertScheduler', id: 's', every: 3600000, startDate: Date.now() + 7200000 }, add({ delay: 60000 }), { op: 'drain', delayed: true }],
  'flow': [{ op: 'state', id: 'p' }, flow(), work(3)],
  'flow with a failing child: parent fails': [{ op: 'state', id: 'p' }, flow({ failParentOnFailure: true }), work(3)],
  'flow with a failing child: ignored': [{ op: 'state', id: 'p' }, flow({ ignoreDependencyOnFailure: true }), work(3)],
  'flow with a failing child: parent goes on': [{ op: 'state', id: 'p' }, flow({ continueParentOnFailure: true }), work(3)],
};

const telling = ['add', 'addBulk', 'state', 'remove', 'clean', 'flowBulk', 'flowTree', 'children', 'childCounts', 'removeChildDependency', 'ids', 'jobs',
  'priorities', 'limits', 'finished', 'logs', 'removeOrphans', 'releaseDeduplication', 'refused'];

async function play(side, queue, steps) {
  const prefix = `bull:${queue}:`;
  const answers = [];
  try {
    await side.do({ op: 'state', id: 'nobody' }); // a Queue of Node writes its version when it is made, ours when it is used
    for (const raw of steps) {
      const step = typeof raw === 'function' ? raw : JSON.parse(JSON.stringify(raw).replaceAll('QUALIFIED', `bull:${queue}`));
      const answer = typeof step === 'function' ? await step(server.client, prefix, queue, side) : await side.do(step);
      if (telling.includes(step.op)) answers.push(answer);
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
