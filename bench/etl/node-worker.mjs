// The peer: ClickHouse → Redis as a careful Node team writes it. Streams, bounded memory, staging key and RENAME.
// stdin: one JSON line {rows, sink, query, key}; stdout: one JSON line with the result. Needs REDIS_PORT, CLICKHOUSE_URL.
import { createInterface } from 'node:readline';
import { createClient } from '@clickhouse/client';
import Redis from 'ioredis';

const redis = new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) });
const clickhouse = createClient({ url: process.env.CLICKHOUSE_URL, clickhouse_settings: { output_format_json_quote_64bit_integers: 0 } });

const sinks = {
  list: (staging) => {
    let rows = [];
    return {
      add(row) {
        rows.push(row);
        if (rows.length < 1000) return null;
        const chunk = JSON.stringify(rows);
        rows = [];
        return redis.rpush(staging, chunk);
      },
      end: () => (rows.length ? redis.rpush(staging, JSON.stringify(rows)) : null),
    };
  },
  hash: (staging) => {
    let pairs = [];
    return {
      add(row) {
        pairs.push(row.user_id, JSON.stringify(row));
        if (pairs.length < 1024) return null;
        const full = pairs;
        pairs = [];
        return redis.hset(staging, full);
      },
      end: () => (pairs.length ? redis.hset(staging, pairs) : null),
    };
  },
};

async function run({ sink, query, key }) {
  const staging = `${key}:staging`;
  await redis.del(staging);
  const out = sinks[sink](staging);
  let rows = 0;
  const start = performance.now();
  const cpu = process.cpuUsage();
  const answer = await clickhouse.query({ query, format: 'JSONEachRow' });
  for await (const part of answer.stream()) {
    for (const line of part) {
      const pending = out.add(line.json());
      rows++;
      if (pending) await pending;
    }
  }
  await out.end();
  await redis.rename(staging, key);
  const used = process.cpuUsage(cpu);
  return { rows, seconds: (performance.now() - start) / 1000, cpu: (used.user + used.system) / 1e6 };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
redis.disconnect();
await clickhouse.close();
