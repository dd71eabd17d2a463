// The peer: Yespo → Redis as a careful Node team writes it. One page ahead, ids checked, staging key and RENAME.
// stdin: one JSON line {group, pageRows, key}; stdout: one JSON line with the result. Needs REDIS_PORT, YESPO_URL, YESPO_KEY.
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import Redis from 'ioredis';

const redis = new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) });
const agent = new Agent({ keepAlive: true, maxSockets: 2 });
const headers = { Authorization: `Basic ${Buffer.from(`user:${process.env.YESPO_KEY}`).toString('base64')}`, Accept: 'application/json' };

const page = (group, start, rows) => new Promise((ok, bad) => {
  request(`${process.env.YESPO_URL}/group/${group}/contacts?startindex=${start}&maxrows=${rows}`, { agent, headers }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('error', bad);
    answer.on('end', () => {
      if (answer.statusCode !== 200) return bad(new Error(`HTTP ${answer.statusCode}`));
      const value = JSON.parse(Buffer.concat(parts).toString());
      ok(Array.isArray(value) ? value : [value]);
    });
  }).on('error', bad).end();
});

async function run({ group, pageRows, key }) {
  const staging = `${key}:staging`, seen = new Set();
  await redis.del(staging);
  let chunk = [], rows = 0, start = 1;
  const from = performance.now(), cpu = process.cpuUsage();
  for (let next = page(group, start, pageRows); ;) {
    const contacts = await next;
    if (contacts.length === 0) break;
    start += contacts.length;
    next = page(group, start, pageRows);
    next.catch(() => {}); // awaited above
    for (const contact of contacts) {
      const id = Number(contact.id);
      if (seen.has(id)) continue;
      seen.add(id);
      rows++;
      chunk.push(contact);
      if (chunk.length === 1000) {
        const text = JSON.stringify(chunk);
        chunk = [];
        await redis.rpush(staging, text);
      }
    }
  }
  if (chunk.length) await redis.rpush(staging, JSON.stringify(chunk));
  await redis.rename(staging, key);
  const used = process.cpuUsage(cpu);
  return { rows, seconds: (performance.now() - from) / 1000, cpu: (used.user + used.system) / 1e6 };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
redis.disconnect();
agent.destroy();
