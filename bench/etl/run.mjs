// ClickHouse → Redis: Headrace, a Node worker and the floors of both servers, all in one run, on the same rows. ClickHouse →
// Postgres beside psql's COPY of the same rows. Then peak RSS by rows, time from start to ready, idle RSS, and the encoder and
// decoder alone.
//   node bench/etl/run.mjs [--rows 1000000] [--repeat 5] [--memory 100000,1000000,10000000] [--build build/release]
//                          [--sink redis,postgres] [--out docs/benchmarks.md]
//                          (--repeat 0 leaves the comparisons out, --memory '' the memory, --rest no the last sections)
// The worker under test has core 0; Redis, Postgres and ClickHouse have core 1. Medians; ratios are between medians.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { median } from '../rounds.mjs';
import { Headrace, lineOf, nodeRun, speedOf } from './headrace.mjs';
import { Servers, status } from './servers.mjs';

const { values: options } = parseArgs({ options: {
  rows: { type: 'string', default: '1000000' }, repeat: { type: 'string', default: '5' },
  build: { type: 'string', default: 'build/release' }, out: { type: 'string' },
  memory: { type: 'string', default: '100000,1000000,10000000' }, sink: { type: 'string', default: 'redis,postgres' },
  rest: { type: 'string', default: 'yes' },
} });
const rows = Number(options.rows), repeat = Number(options.repeat);
const columns = 'user_id, email, city, segment, orders, revenue, is_active, last_seen';
const query = (n) => `SELECT ${columns} FROM customers WHERE user_id < ${100_000_000 + n}`;

const servers = new Servers(1);
await Promise.all([servers.redis(), servers.postgres(), servers.clickhouse()]);
const headrace = new Headrace(servers, options.build);
const { psql, redisCli } = headrace;

// 8 mixed columns, about 100 bytes a row; half of the cities are Cyrillic. Everything follows from the row's number.
async function fill(count) {
  await servers.sql('CREATE TABLE IF NOT EXISTS customers (user_id UInt64, email String, city String, segment String, orders Int32, revenue Float64, is_active UInt8, last_seen DateTime) ENGINE = MergeTree() ORDER BY user_id');
  const have = Number(await servers.sql('SELECT count() FROM customers'));
  for (let from = have; from < count; from += 1_000_000) {
    const n = Math.min(1_000_000, count - from);
    await servers.sql(`INSERT INTO customers SELECT 100000000 + n AS user_id,
      concat(['olena', 'andrii.koval', 'iryna', 'm.shevchenko', 'taras', 'sofia.bondar', 'yurii', 'kateryna.m'][h % 8 + 1], '.', lower(hex(toUInt32(h))), '@mail', toString(n % 7), '.example.com') AS email,
      ['Київ', 'Lviv', 'Одеса', 'Kharkiv', 'Дніпро', 'Warsaw', 'Вінниця', 'Chernivtsi', 'Полтава', 'Rivne', 'Суми', 'Uzhhorod'][h % 12 + 1] AS city,
      ['loyal', 'churn_risk', 'new', 'vip', 'dormant', 'one_time_buyer', 'subscriber', 'unknown'][intDiv(h, 32) % 8 + 1] AS segment,
      toInt32(h % 97) AS orders, (h % 1000000) / 100 AS revenue, toUInt8(intDiv(h, 512) % 2) AS is_active,
      toDateTime(1735689600 + h % 25000000) AS last_seen
      FROM (SELECT number + ${from} AS n, intHash32(number + ${from}) AS h FROM system.numbers LIMIT ${n})`);
  }
  await servers.sql('OPTIMIZE TABLE customers FINAL').catch(() => {});
}

// The commands that a client has to send for these rows, ready-made: what is left is Redis' own work and the wire.
async function prepare() {
  const files = {};
  const resp = (...args) => `*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join('')}`;
  const open = (name) => ({ path: join(servers.dir, `${name}.resp`), fd: openSync(join(servers.dir, `${name}.resp`), 'w'), bytes: 0 });
  const put = (file, text) => { file.bytes += writeSync(file.fd, text); };
  files.list = open('list');
  files.hash = open('hash');
  const answer = await fetch(`${servers.chUrl}/?output_format_json_quote_64bit_integers=0`, { method: 'POST', body: `${query(rows)} FORMAT JSONEachRow` });
  let chunk = [], pairs = [];
  for await (const line of createInterface({ input: Readable.fromWeb(answer.body) })) {
    chunk.push(line);
    pairs.push(line.slice(11, line.indexOf(',')), line);
    if (chunk.length === 1000) { put(files.list, resp('RPUSH', 'floor', `[${chunk.join(',')}]`)); chunk = []; }
    if (pairs.length === 1024) { put(files.hash, resp('HSET', 'floor', ...pairs)); pairs = []; }
  }
  if (chunk.length) put(files.list, resp('RPUSH', 'floor', `[${chunk.join(',')}]`));
  if (pairs.length) put(files.hash, resp('HSET', 'floor', ...pairs));
  for (const file of Object.values(files)) closeSync(file.fd);
  return files;
}

const timed = (command) => {
  const start = process.hrtime.bigint();
  execFileSync('taskset', ['-c', '0', 'bash', '-c', command], { stdio: 'ignore' });
  return Number(process.hrtime.bigint() - start) / 1e9;
};
const floors = {
  clickhouse: () => timed(`curl -sS -o /dev/null '${servers.chUrl}/' --data-binary "${query(rows)} FORMAT Native"`),
  list: (file) => { redisCli('flushall'); return timed(`redis-cli -p ${servers.redisPort} --pipe < ${file.path}`); },
  hash: (file) => { redisCli('flushall'); return timed(`redis-cli -p ${servers.redisPort} --pipe < ${file.path}`); },
};

// --- the Node worker: a fresh process with one warm-up for each measurement
const node = (sink) => nodeRun(servers, 'node-worker.mjs', { CLICKHOUSE_URL: servers.chUrl }, (n) => ({ sink, key: 'bench', query: query(n) }), rows);

// --- Headrace
const outputs = {
  list: 'type: redis, key: bench, as: list, chunk_rows: 1000', hash: 'type: redis, key: bench, as: hash, field: user_id',
  replace: 'type: postgres, table: bench_replace, key: user_id', merge: 'type: postgres, table: bench_merge, mode: merge, key: user_id',
  append: 'type: postgres, table: bench_append, mode: append',
};
const headraceRun = (sink, n = rows) => headrace.run(n, `type: clickhouse, credential: ch, query: "${query(n)}"`, outputs[sink]);

// --- the other sections

async function memory() {
  const lines = [];
  const measured = [['redis', 'list', 'Redis, list of 1000-row chunks'], ['redis', 'hash', 'Redis, one hash'], ['postgres', 'replace', 'Postgres, replace'], ['postgres', 'merge', 'Postgres, merge into an empty table']];
  const sizes = options.memory.split(',').map(Number);
  await fill(Math.max(...sizes));
  for (const [sink, kind, title] of measured.filter(([name]) => options.sink.includes(name))) for (const n of sizes) {
    if (kind === 'merge') psql("do $$ begin if to_regclass('bench_merge') is not null then truncate bench_merge; end if; end $$");
    const r = await headraceRun(kind, n);
    redisCli('flushall');
    lines.push(`| ${title} | ${n.toLocaleString('en')} | ${r.rss.toFixed(1)} | ${Math.round(n / r.seconds).toLocaleString('en')} | ${(r.cpu / n * 1e6).toFixed(2)} |`);
    console.error(`memory: ${lines.at(-1)}`);
  }
  return `## Memory

One worker process after another; peak RSS during the run.

| output | rows | peak RSS MiB | rows/s | CPU-s per million rows |
| --- | --- | --- | --- | --- |
${lines.join('\n')}
`;
}

// "Ready": the worker takes jobs, the api answers. The program itself may use any core here.
async function idle() {
  const lines = [];
  for (const [title, ...args] of [['worker', 'worker'], ['worker without the scheduler', 'worker', '--no-schedule'], ['api', 'api']]) {
    const times = [], sizes = [];
    for (let i = 0; i < 9; i++) {
      const begin = process.hrtime.bigint();
      const child = await headrace.start(...args);
      times.push(Number(process.hrtime.bigint() - begin) / 1e6);
      await wait(500);
      sizes.push(status(child.pid, 'VmRSS'));
      await headrace.end(child);
    }
    lines.push(`| ${title} | ${median(times).toFixed(0)} (${Math.min(...times).toFixed(0)}..${Math.max(...times).toFixed(0)}) | ${median(sizes).toFixed(1)} |`);
  }
  return `## Start and rest

From \`exec\` to ready, nine times, median (fastest..slowest); RSS half a second later.

| process | ms to ready | RSS MiB |
| --- | --- | --- |
${lines.join('\n')}
`;
}

function codecs() {
  const text = execFileSync('taskset', ['-c', '0', resolve(options.build, 'bench/data/bench_data'), '--benchmark_format=json', '--benchmark_min_time=0.3'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const all = JSON.parse(text).benchmarks;
  const lines = all.map((b) => {
    const floor = all.find((f) => f.name === (b.name.startsWith('encode') ? 'floor_memcpy' : 'floor_memcpy_block'));
    const share = b.name.startsWith('floor') ? '' : `${(b.bytes_per_second / floor.bytes_per_second * 100).toFixed(1)} %`;
    return `| ${b.name} | ${(b.bytes_per_second / 1e9).toFixed(2)} | ${(b.items_per_second / 1e6).toFixed(1)} | ${share} |`;
  });
  return `## Encoder and decoder alone

One core, Google Benchmark (\`bench/data\`). \`encode\`: columns to JSON, bytes of output. \`decode\`: Native blocks in pieces of 256 KiB to
columns, bytes of input. The floor is a memcpy of the same bytes.

| what | GB/s | million rows/s | of the floor |
| --- | --- | --- | --- |
${lines.join('\n')}
`;
}

async function main() {
  await fill(rows);
  headrace.credential('ch', '', '--kind', 'clickhouse', '-s', `url=${servers.chUrl}`, '-s', 'user=default', '--host', `127.0.0.1:${servers.chPort}`);
  const sections = [];
  const rest = options.rest === 'yes' ? await idle() : ''; // first: the servers have nothing else to do yet
  if (repeat > 0 && options.sink.includes('redis')) sections.push(await compare());
  if (repeat > 0 && options.sink.includes('postgres')) sections.push(await tables());
  if (options.memory) sections.push(await memory());
  if (rest) sections.push(rest, codecs());
  const text = `${heading((await servers.sql('SELECT version()')).trim())}\n${sections.join('\n')}`;
  console.log(text);
  if (options.out) writeFileSync(options.out, text);
}

async function compare() {
  const files = await prepare();
  const all = { curl: [], floorList: [], floorHash: [], list: [], hash: [], alone: [], nodeList: [], nodeHash: [] };
  for (let i = 0; i < repeat; i++) {
    all.curl.push({ seconds: floors.clickhouse() });
    all.floorList.push({ seconds: floors.list(files.list) });
    all.floorHash.push({ seconds: floors.hash(files.hash) });
    all.list.push(await headraceRun('list'));
    all.hash.push(await headraceRun('hash'));
    servers.pin('clickhouse', 0); // as for redis-cli: Redis has its core for itself
    all.alone.push(await headraceRun('hash'));
    servers.pin('clickhouse', 1);
    all.nodeList.push(await node('list'));
    all.nodeHash.push(await node('hash'));
    console.error(`round ${i + 1} of ${repeat}`);
  }
  return report(all, files);
}

// The floor is what psql does with a ready-made file of the same rows and a table with the same columns and key. ClickHouse
// shares core 0 with the worker here, so that Postgres has core 1 for itself in every line.
async function tables() {
  servers.pin('clickhouse', 0);
  const file = join(servers.dir, 'rows.copy');
  await headraceRun('replace');
  await headraceRun('merge');
  await headraceRun('append');
  psql(`\\copy bench_replace to '${file}' (format binary)`);
  psql('create table floor (like bench_replace including all)');
  psql('create table floor_bare (like bench_append including all)');
  const copy = (table) => ({ seconds: timed(`psql '${servers.pgUrl}' -c "\\copy ${table} from '${file}' (format binary)"`) });
  const clean = (...statements) => { for (const text of [...statements, 'checkpoint']) psql(text); };
  const all = { floor: [], floorBare: [], replace: [], append: [], insert: [], same: [], update: [] };
  for (let i = 0; i < repeat; i++) {
    clean('truncate floor');
    all.floor.push(copy('floor'));
    clean('truncate floor_bare');
    all.floorBare.push(copy('floor_bare'));
    clean('truncate floor', 'truncate floor_bare');
    all.replace.push(await headraceRun('replace'));
    clean('truncate bench_append');
    all.append.push(await headraceRun('append'));
    clean('truncate bench_merge', 'truncate bench_append');
    all.insert.push(await headraceRun('merge'));
    clean('vacuum bench_merge');
    all.same.push(await headraceRun('merge'));
    clean('update bench_merge set orders = -1', 'vacuum full bench_merge');
    all.update.push(await headraceRun('merge'));
    console.error(`postgres: round ${i + 1} of ${repeat}`);
  }
  const changed = Number(psql('select count(*) from bench_merge where orders < 0'));
  if (changed !== 0 || Number(psql('select count(*) from bench_replace')) !== rows) throw new Error('the tables are not what was written');
  servers.pin('clickhouse', 1);
  const speed = (name) => speedOf(all[name], rows);
  const line = (title, name) => lineOf(title, all[name], rows);
  const share = (name, floor) => `${(speed(name) / speed(floor) * 100).toFixed(0)} %`;
  return `## ClickHouse → Postgres

The same rows, ${repeat} rounds, medians (slowest..fastest). ClickHouse runs on the worker's core here, Postgres alone on the other one. A numeric(20)
primary key. The whole run as its history shows it, with the decision's synchronous COMMIT; for a replaced table also ANALYZE.

| | rows/s | CPU-s per million rows | peak RSS MiB |
| --- | --- | --- | --- |
${line('Headrace, replace (swap, with key)', 'replace')}
${line('Headrace, append', 'append')}
${line('Headrace, merge into an empty table', 'insert')}
${line('Headrace, merge, every row the same', 'same')}
${line('Headrace, merge, every row changed', 'update')}
${line('floor: psql COPY BINARY from a file, with the key', 'floor')}
${line('floor: psql COPY BINARY from a file, without a key', 'floorBare')}

| ratio | value |
| --- | --- |
| replace / COPY with the key | ${share('replace', 'floor')} |
| append / COPY without a key | ${share('append', 'floorBare')} |
| merge into an empty table / COPY with the key | ${share('insert', 'floor')} |
| merge, every row changed / COPY with the key | ${share('update', 'floor')} |
`;
}

function heading(clickhouseVersion) {
  const version = (cmd, args) => execFileSync(cmd, args, { encoding: 'utf8' }).split('\n')[0].trim();
  return `# Benchmarks

Made by \`scripts/bench\` on ${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GiB.
Worker on core 0; Redis, ClickHouse (max_threads 1) and Postgres on core 1.
${version('redis-server', ['--version']).split(' ').slice(0, 3).join(' ')} · ClickHouse ${clickhouseVersion} · ${version('psql', ['--version'])} · Node ${process.version}.
`;
}

function report(all, files) {
  const speed = (name) => speedOf(all[name], rows), cpu = (name) => median(all[name].map((r) => r.cpu));
  const line = (title, name) => lineOf(title, all[name], rows);
  const slower = Math.min(speed('curl'), speed('floorList'));
  const slowerHash = Math.min(speed('curl'), speed('floorHash'));
  return `## ClickHouse → Redis

${rows.toLocaleString('en')} rows of 8 mixed columns, about 100 bytes a row; ${repeat} rounds, medians (slowest..fastest). Headrace's time is that of the whole run as its history shows it: claim, read, stage, decide, publish.

| | rows/s | CPU-s per million rows | peak RSS MiB |
| --- | --- | --- | --- |
${line('Headrace, list of 1000-row chunks', 'list')}
${line('Headrace, one hash', 'hash')}
${line('Headrace, one hash, ClickHouse on the core of the worker', 'alone')}
${line('Node worker, list', 'nodeList')}
${line('Node worker, hash', 'nodeHash')}
${line('floor: curl of the Native answer to /dev/null', 'curl')}
${line(`floor: redis-cli --pipe, list (${(files.list.bytes / 1e6).toFixed(0)} MB)`, 'floorList')}
${line(`floor: redis-cli --pipe, hash (${(files.hash.bytes / 1e6).toFixed(0)} MB)`, 'floorHash')}

| ratio | value |
| --- | --- |
| list: Headrace / Node | ${(speed('list') / speed('nodeList')).toFixed(2)} |
| list: Headrace / slower floor | ${(speed('list') / slower * 100).toFixed(0)} % |
| hash: Headrace / Node | ${(speed('hash') / speed('nodeHash')).toFixed(2)} |
| hash: Headrace / slower floor | ${(speed('hash') / slowerHash * 100).toFixed(0)} % |
| hash, Redis with a core for itself as under redis-cli: Headrace / redis-cli --pipe | ${(speed('alone') / speed('floorHash') * 100).toFixed(0)} % |
| list: CPU of Headrace / Node | ${(cpu('list') / cpu('nodeList')).toFixed(2)} |
`;
}

try { await main(); } finally { await servers.stop(); }
