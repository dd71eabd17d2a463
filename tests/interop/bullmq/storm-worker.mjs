// A Node worker for the storm: node storm-worker.mjs PORT QUEUE. Fails the first attempt of "flaky" jobs.
import { Worker } from './support.mjs';

const [port, queue] = process.argv.slice(2);
const worker = new Worker(queue, async (job) => {
  await new Promise(resolve => setTimeout(resolve, 1));
  if (job.data.flaky && job.attemptsMade === 0) throw new Error('attempt 1 fails');
  return job.data;
}, { connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null }, concurrency: 8, lockDuration: 2000, stalledInterval: 500, maxStalledCount: 1000 });
worker.on('error', () => {});
process.on('SIGTERM', async () => { await worker.close(); process.exit(0); });
