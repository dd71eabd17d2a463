// The Node side: a worker whose processor does nothing, or tells when it began (producer.cpp, --mode wake).
// node node-worker.mjs PORT QUEUE CONCURRENCY [wake]; ends by SIGTERM.
import { createRequire } from 'node:module';

const { Worker } = createRequire(import.meta.url)('bullmq');
const [port, queue, concurrency, wake] = process.argv.slice(2);
const worker = new Worker(queue, async (job) => (wake ? Number(process.hrtime.bigint()) : job.data), { connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null }, concurrency: Number(concurrency) });
worker.on('error', (error) => console.error(error));
process.on('SIGTERM', async () => { await worker.close(); process.exit(0); });
