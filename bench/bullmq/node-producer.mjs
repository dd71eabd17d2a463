// The Node side: node node-producer.mjs PORT QUEUE seq|inflight|bulk N; prints {"seconds": …, "cpuSeconds": …}.
import { createRequire } from 'node:module';

const { Queue } = createRequire(import.meta.url)('bullmq');
const [port, name, mode, count] = process.argv.slice(2);
const n = Number(count);
const data = { userId: 12345, kind: 'extract', path: 's3://bucket/some/object/key.json', n: 42 };
const queue = new Queue(name, { connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null } });
await queue.waitUntilReady();
await queue.add('warm', data);
const cpu = process.cpuUsage(), start = process.hrtime.bigint();
if (mode === 'seq') {
  for (let i = 0; i < n; i++) await queue.add('job', data);
} else if (mode === 'inflight') {
  let i = 0;
  await Promise.all(Array.from({ length: 100 }, async () => { while (i++ < n) await queue.add('job', data); }));
} else {
  for (let i = 0; i < n; i += 1000) await queue.addBulk(Array.from({ length: Math.min(1000, n - i) }, () => ({ name: 'job', data })));
}
const seconds = Number(process.hrtime.bigint() - start) / 1e9, used = process.cpuUsage(cpu);
console.log(JSON.stringify({ seconds, cpuSeconds: (used.user + used.system) / 1e6 }));
await queue.close();
