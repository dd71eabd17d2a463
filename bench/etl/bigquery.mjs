// BigQuery → Redis by REST and by Storage Read, and → Postgres and Redis at once: whole runs of Headrace, a Node worker with Google's
// own client, and psql's COPY of the same rows, all in one run, on the same simulator.
//   node bench/etl/bigquery.mjs [--rows 1000000] [--node-rows 100000] [--repeat 5] [--memory 10000000] [--build build/release]
//                               [--out docs/benchmarks.md]
// The worker under test has core 0; Redis, Postgres and the simulator have core 1. For Postgres the simulator is on the worker's core,
// so that Postgres has in every line what it has under psql. Medians; ratios are between neighbours in time.
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { quietRounds, ratioOf } from '../rounds.mjs';
import { Headrace, addressIn, lineOf, nodeRun, rowSpeed } from './headrace.mjs';
import { Servers } from './servers.mjs';

const { values: options } = parseArgs({ options: {
  rows: { type: 'string', default: '1000000' }, 'node-rows': { type: 'string', default: '100000' }, repeat: { type: 'string', default: '5' },
  memory: { type: 'string', default: '10000000' }, build: { type: 'string', default: 'build/release' }, out: { type: 'string' },
} });
const rows = Number(options.rows), nodeRows = Number(options['node-rows']), repeat = Number(options.repeat);
const project = 'headrace-test';
const tableOf = (n) => `${project}.d.t${n}`;
const sizes = [...new Set([20_000, nodeRows, rows, ...options.memory.split(',').filter(Boolean).map(Number)])];

const servers = new Servers(1);
await Promise.all([servers.redis(), servers.postgres()]);
const headrace = new Headrace(servers, options.build, { HEADRACE_EGRESS_ALLOW: '127.0.0.1' });
let url = '';

async function simulator() {
  const address = join(servers.dir, 'bigquery'), key = join(servers.dir, 'bigquery.key');
  servers.run('bigquery', [resolve(options.build, 'bigquery_simulator'), '--no-auth', '--project', project, '--page-rows', '50000',
    '--address-file', address, '--key-file', key, ...sizes.flatMap((n) => ['--table', `${tableOf(n)}=${n}`])]);
  await addressIn(address);
  const [rest, storage] = readFileSync(address, 'utf8').trim().split('\n');
  url = rest;
  headrace.credential('bq', readFileSync(key, 'utf8').trim(), '--kind', 'bigquery', '-s', `url=${rest}`, '-s', `storage_url=${storage}`, '-s', 'simulator=bench',
    '--host', new URL(rest).host, '--host', new URL(storage).host);
}

const source = (n, read) => `type: bigquery, credential: bq, project: ${project}, read: ${read}, query: "SELECT * FROM \`${tableOf(n)}\`"`;
const list = 'type: redis, key: bench, as: list, chunk_rows: 1000';
const hash = 'type: redis, key: bench, as: hash, field: id';
const table = 'type: postgres, table: bench_rows, key: id';

const node = (sink, n) => nodeRun(servers, 'node-bigquery.mjs', { DATABASE_URL: servers.pgUrl, BIGQUERY_URL: url }, (count) => ({ query: `SELECT * FROM \`${tableOf(count)}\``, sink }), n);

function copy(file) {
  headrace.psql('truncate floor');
  const start = process.hrtime.bigint();
  execFileSync('taskset', ['-c', '0', 'psql', servers.pgUrl, '-c', `\\copy floor from '${file}' (format binary)`], { stdio: 'ignore' });
  return { rows, seconds: Number(process.hrtime.bigint() - start) / 1e9 };
}

async function main() {
  await simulator();
  await headrace.run(rows, source(rows, 'rest'), table); // the simulator renders its answers once
  await headrace.run(rows, source(rows, 'storage'), list);
  const file = join(servers.dir, 'rows.copy');
  headrace.psql(`\\copy bench_rows to '${file}' (format binary)`);
  headrace.psql('create table floor (like bench_rows including all)');
  const measure = (name) => {
    console.error(`bigquery: ${name}`);
    servers.pin('bigquery', ['copy', 'both'].includes(name) ? 0 : 1);
    headrace.psql('checkpoint');
    return {
      rest: () => headrace.run(rows, source(rows, 'rest'), list),
      storage: () => headrace.run(rows, source(rows, 'storage'), list),
      nodeList: () => node('list', nodeRows),
      nodeBoth: () => node('both', nodeRows),
      copy: () => copy(file),
      both: () => headrace.run(rows, source(rows, 'storage'), table, hash),
    }[name]();
  };
  const rounds = [...await quietRounds(repeat, ['rest', 'storage', 'nodeList'], measure), ...await quietRounds(repeat, ['copy', 'both', 'nodeBoth'], measure)];
  servers.pin('bigquery', 1);
  const all = (name) => rounds.flatMap((round) => round[name] ?? []);
  const memory = [];
  for (const n of options.memory.split(',').filter(Boolean).map(Number)) {
    for (const [title, read, ...sinks] of [['REST → Redis', 'rest', list], ['Storage Read → Redis', 'storage', list], ['Storage Read → Postgres and Redis', 'storage', table, hash]]) {
      memory.push(`| ${title} | ${n.toLocaleString('en')} | ${(await headrace.run(n, source(n, read), ...sinks)).rss.toFixed(1)} |`);
    }
  }
  const text = `
## BigQuery → Redis and Postgres

${rows.toLocaleString('en')} rows of 8 mixed columns (Node: ${nodeRows.toLocaleString('en')}) from the simulator; medians (slowest..fastest) of ${repeat} rounds, those of up to three
times as many in which the host gave least CPU time to others. Headrace: the whole run as its history shows it. Redis: a list of 1000-row
chunks; Postgres and Redis: a replaced table with its key, and one hash, decided together.

| | rows/s | CPU-s per million rows | peak RSS MiB |
| --- | --- | --- | --- |
${lineOf('Headrace, REST → Redis', all('rest'), rows)}
${lineOf('Headrace, Storage Read → Redis', all('storage'), rows)}
${lineOf('Headrace, Storage Read → Postgres and Redis', all('both'), rows)}
${lineOf('Node worker, REST → Redis', all('nodeList'), nodeRows)}
${lineOf('Node worker, REST → Postgres and Redis', all('nodeBoth'), nodeRows)}
${lineOf('floor: psql COPY BINARY from a file, with the key', all('copy'), rows)}

| ratio | value |
| --- | --- |
| REST → Redis: Headrace / Node | ${ratioOf(rowSpeed, all('rest'), all('nodeList')).toFixed(1)} |
| Storage Read / REST | ${ratioOf(rowSpeed, all('storage'), all('rest')).toFixed(2)} |
| Postgres and Redis: Headrace / Node | ${ratioOf(rowSpeed, all('both'), all('nodeBoth')).toFixed(1)} |
| Postgres and Redis: Headrace / COPY alone | ${(ratioOf(rowSpeed, all('both'), all('copy')) * 100).toFixed(0)} % |
${memory.length ? `\n| peak RSS of Headrace | rows | MiB |\n| --- | --- | --- |\n${memory.join('\n')}\n` : ''}`;
  console.log(text);
  if (options.out) appendFileSync(options.out, text);
}

try { await main(); } finally { await servers.stop(); }
