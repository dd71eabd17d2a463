// Jobs of all kinds, added and worked on from both sides while workers, connections and the script cache are killed at
// random. At the end no job may be lost, finished twice, or left behind.
//   BULLMQ_DRIVER=… BULLMQ_EXAMPLES=… node tests/interop/bullmq/storm.mjs [--jobs 100000] [--seed N] [--evidence FILE]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CppWorker, Driver, FlowProducer, Queue, RedisServer, until } from './support.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const name = 'storm';

// Repeatable: what is done at random follows from the seed (when it is done does not).
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0;
    return Math.floor(((state ^ (state >>> 13)) >>> 0) / 2 ** 32 * below);
  };
}

class NodeWorker {
  constructor(server) { this.process = spawn(process.execPath, [join(here, 'storm-worker.mjs'), String(server.port), name], { stdio: ['ignore', 'ignore', 'inherit'] }); }
}
const cppWorker = (server) => new CppWorker(server, name, '--quiet', '--quiet-losses', '--concurrency', '8', '--sleep-ms', '1', '--flaky', '--lock-ms', '2000', '--stalled-ms', '500', '--max-stalled', '1000', '--drain-ms', '1000');

// Own ids make adding again harmless, and a lost answer leaves it open what was added: so each lot is added until all of
// it is there. A flow must be looked for in any case: npm bullmq does not tell of the children that its transaction
// refused because the scripts had been flushed, and its connection goes on to believe that Redis knows them (hence
// `renew`).
async function addUntilThere(server, ids, add, renew = async () => {}) {
  for (let tries = 0; tries < 500; ++tries) {
    const answer = await add().catch(error => ({ error: String(error) }));
    const there = await server.client.exists(ids.map(id => `bull:${name}:${id}`));
    if (there === ids.length) return;
    if (!answer?.error || /NOSCRIPT/.test(answer.error)) await renew();
  }
  throw new Error(`could not add ${ids[0]} …`);
}

async function produce(server, jobs, pick) {
  // The events are the witnesses: none may be cut off.
  const queue = new Queue(name, { connection: server.connection, streams: { events: { maxLen: jobs * 20 } } });
  await queue.waitUntilReady();
  const newFlows = () => { const made = new FlowProducer({ connection: server.connection }); made.on('error', () => {}); return made; };
  let flows = newFlows();
  const renew = async () => { await flows.close(); flows = newFlows(); };
  const driver = new Driver(server, name);
  let added = 0, n = 0;
  const kind = () => [{}, { delay: 1 + pick(400) }, { priority: 1 + pick(5) }, { attempts: 3, flaky: true }, { lifo: true }, { attempts: 2, backoff: { type: 'fixed', delay: 20 }, flaky: true }][pick(6)];
  while (added < jobs) {
    const size = Math.min(200, jobs - added);
    if (pick(10) === 0 && size >= 4) {
      const id = `flow${++n}`;
      const flow = { name: 'parent', opts: { jobId: id }, children: Array.from({ length: 3 }, (_, i) => ({ name: 'child', opts: { jobId: `${id}-${i}` } })) };
      const forNode = { ...flow, queueName: name, data: {}, children: flow.children.map(child => ({ ...child, queueName: name, data: {} })) };
      const ids = [flow, ...flow.children].map(({ opts }) => opts.jobId);
      await (pick(2) ? addUntilThere(server, ids, () => flows.add(forNode), renew) : addUntilThere(server, ids, () => driver.do({ op: 'flow', flow })));
      added += 4;
      continue;
    }
    const batch = Array.from({ length: size }, () => { const { flaky, ...opts } = kind(); return { name: 'j', data: { n: ++n, ...(flaky ? { flaky } : {}) }, opts: { ...opts, jobId: `j${n}` } }; });
    const forDriver = { op: 'addBulk', jobs: batch.map(({ data, ...job }) => ({ ...job, raw: JSON.stringify(data) })) };
    await addUntilThere(server, batch.map(({ opts }) => opts.jobId), pick(2) ? () => queue.addBulk(batch) : () => driver.do(forDriver));
    added += size;
  }
  await driver.stop();
  await flows.close();
  return queue;
}

export async function storm({ jobs, seed, say = () => {} }) {
  const pick = random(seed);
  const server = await RedisServer.start();
  const start = Date.now();
  const figures = { seed, jobs, kills: 0, cuts: 0, flushes: 0, violations: { lost: 0, twice: 0, failed: 0, left: 0 } };
  const workers = [cppWorker(server), new NodeWorker(server), cppWorker(server), new NodeWorker(server)];
  let over = false, havoc;
  try {
    havoc = (async () => {
      while (!over) {
        await new Promise(resolve => setTimeout(resolve, 100 + pick(300)));
        const i = pick(workers.length), what = pick(10);
        if (what < 7) {
          workers[i].process.kill('SIGKILL');
          workers[i] = i % 2 ? new NodeWorker(server) : cppWorker(server);
          ++figures.kills;
        } else if (what < 9) {
          await server.client.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          ++figures.cuts;
        } else {
          await server.client.script('FLUSH');
          ++figures.flushes;
        }
      }
    })();
    const queue = await produce(server, jobs, pick);
    const done = async () => await server.client.zcard(`bull:${name}:completed`) + await server.client.zcard(`bull:${name}:failed`);
    let last = 0, since = Date.now();
    await until('all jobs are over', async () => {
      const count = await done();
      if (count !== last) { since = Date.now(); last = count; }
      if (Date.now() - since > 60_000) throw new Error(`stuck at ${count} of ${jobs}`);
      await new Promise(resolve => setTimeout(resolve, 200));
      return count >= jobs;
    }, 3_600_000).catch(error => say(error.message));
    over = true;
    await havoc;
    await judge(server, queue, figures);
    await queue.close();
  } finally {
    over = true;
    await havoc?.catch(() => {});
    // All is judged. Ours must end when asked; npm bullmq's close() may wait for ever after a cut.
    for (const [i, { process: child }] of workers.entries()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill(i % 2 ? 'SIGKILL' : 'SIGTERM');
      await gone;
    }
    await server.stop();
  }
  figures.seconds = Math.round((Date.now() - start) / 1000);
  return figures;
}

async function judge(server, queue, { jobs, violations }) {
  const counts = await queue.getJobCounts('completed', 'failed', 'wait', 'active', 'delayed', 'prioritized', 'waiting-children');
  violations.failed = counts.failed;
  violations.left = counts.wait + counts.active + counts.delayed + counts.prioritized + counts['waiting-children'];
  violations.lost = Math.max(0, jobs - counts.completed - counts.failed - violations.left);
  const ends = new Map();
  for (let from = '-'; ;) {
    const page = await server.client.xrange(`bull:${name}:events`, from, '+', 'COUNT', 5000);
    for (const [, fields] of page) if (fields[1] === 'completed') ends.set(fields[3], (ends.get(fields[3]) ?? 0) + 1);
    if (page.length < 5000) break;
    from = `(${page.at(-1)[0]}`;
  }
  violations.twice = [...ends.values()].filter(times => times > 1).length;
  violations.lost += Math.max(0, counts.completed - ends.size);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { jobs: { type: 'string', default: '100000' }, seed: { type: 'string' }, evidence: { type: 'string' } } });
  const figures = await storm({ jobs: Number(values.jobs), seed: Number(values.seed ?? Date.now() % 1e9), say: console.error });
  if (values.evidence) writeFileSync(values.evidence, `${JSON.stringify(figures)}\n`);
  const bad = Object.values(figures.violations).some(count => count > 0);
  console.log(`${figures.jobs} jobs, ${figures.kills} kills, ${figures.cuts} cuts of all connections, ${figures.flushes} script flushes in ${figures.seconds} s, seed ${figures.seed}: ${bad ? JSON.stringify(figures.violations) : 'each done once'}`);
  process.exit(bad ? 1 : 0);
}
