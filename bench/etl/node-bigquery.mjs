// The peer: BigQuery → Redis, or → Postgres and Redis, as a careful Node team writes it: Google's own client by REST, rows as they
// come, bounded chunks, staging key and RENAME, COPY into a staging table.
// stdin: one JSON line {query, sink: "list"|"both"}; stdout: one JSON line with the result. Needs BIGQUERY_URL, REDIS_PORT, DATABASE_URL.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import Redis from 'ioredis';
import pg from 'pg';
import { from } from 'pg-copy-streams';

const { BigQuery } = createRequire(new URL('../../tests/interop/bigquery/package.json', import.meta.url))('@google-cloud/bigquery');
process.env.METADATA_SERVER_DETECTION = 'none';
const bigquery = new BigQuery({ projectId: 'headrace-test', apiEndpoint: process.env.BIGQUERY_URL });
const redis = new Redis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT) });
const db = new pg.Client({ connectionString: process.env.DATABASE_URL });
await db.connect();

const quoted = (value) => {
  if (value === null || value === undefined) return '';
  const text = String(value.value ?? value);
  return /[",\n\r]|^$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const sinks = {
  list: async () => {
    let rows = [];
    await redis.del('node:staging');
    const flush = () => { const text = JSON.stringify(rows); rows = []; return redis.rpush('node:staging', text); };
    return {
      add: (row) => { rows.push(row); return rows.length < 1000 ? null : flush(); },
      end: async () => { if (rows.length) await flush(); await redis.rename('node:staging', 'node'); },
    };
  },
  both: async () => {
    let pairs = [], lines = '', columns = null, copy = null;
    await redis.del('node:staging');
    await db.query('begin');
    await db.query('create temp table node_staging (id bigint, name text, country text, amount numeric, ratio float8, active boolean, day date, updated_at timestamptz) on commit drop');
    copy = db.query(from('copy node_staging from stdin (format csv)'));
    const flush = async () => {
      const full = pairs, text = lines;
      pairs = [], lines = '';
      const drained = copy.write(text) ? null : once(copy, 'drain');
      await redis.hset('node:staging', full);
      await drained;
    };
    return {
      add: (row) => {
        columns ??= Object.keys(row);
        pairs.push(row.id, JSON.stringify(row));
        lines += `${columns.map((name) => quoted(row[name])).join(',')}\n`;
        return pairs.length < 1024 ? null : flush();
      },
      end: async () => {
        if (pairs.length) await flush();
        copy.end();
        await finished(copy);
        await db.query('create table if not exists node_rows (like node_staging, primary key (id))');
        await db.query('truncate node_rows');
        await db.query('insert into node_rows select * from node_staging');
        await db.query('commit');
        await redis.rename('node:staging', 'node');
      },
    };
  },
};

async function run({ query, sink }) {
  const begin = performance.now(), cpu = process.cpuUsage(), out = await sinks[sink]();
  let rows = 0;
  for await (const row of bigquery.createQueryStream(query)) {
    rows += 1;
    const pending = out.add(row);
    if (pending) await pending;
  }
  await out.end();
  const used = process.cpuUsage(cpu);
  return { rows, seconds: (performance.now() - begin) / 1000, cpu: (used.user + used.system) / 1e6 };
}

for await (const line of createInterface({ input: process.stdin })) console.log(JSON.stringify(await run(JSON.parse(line))));
redis.disconnect();
await db.end();
