// Yespo → Redis: Headrace, a Node worker and the floor of the simulator, all in one run, on the same contacts (about 490 bytes each).
//   node bench/etl/yespo.mjs [--rows 1000000] [--node-rows 300000] [--repeat 5] [--page-rows 500] [--memory 100000,1000000] [--build build/release] [--out docs/benchmarks.md]
// The worker under test has core 0; Redis, Postgres and the simulator have core 1. Medians; ratios are between neighbours in time.
import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { quietRounds, ratioOf } from '../rounds.mjs';
import { Headrace, addressIn, lineOf, nodeRun, rowSpeed } from './headrace.mjs';
import { Servers } from './servers.mjs';

const { values: options } = parseArgs({ options: {
  rows: { type: 'string', default: '1000000' }, 'node-rows': { type: 'string', default: '300000' }, repeat: { type: 'string', default: '5' }, 'page-rows': { type: 'string', default: '500' },
  memory: { type: 'string', default: '100000,1000000' }, build: { type: 'string', default: 'build/release' }, out: { type: 'string' },
} });
const rows = Number(options.rows), nodeRows = Number(options['node-rows']), repeat = Number(options.repeat), pageRows = Number(options['page-rows']);
const key = 'bench-key';
const sizes = options.memory ? options.memory.split(',').map(Number) : [];

const servers = new Servers(1);
await Promise.all([servers.redis(), servers.postgres()]);
const headrace = new Headrace(servers, options.build, { HEADRACE_EGRESS_ALLOW: '127.0.0.1' });

// Group N has N contacts.
async function simulator() {
  const address = join(servers.dir, 'yespo');
  const groups = [...new Set([20_000, nodeRows, rows, ...sizes])].flatMap((n) => ['--group', `${n}=${n}=${key}`]);
  servers.run('yespo', [resolve(options.build, 'yespo_simulator'), '--address-file', address, ...groups]);
  await addressIn(address);
  return readFileSync(address, 'utf8').trim();
}

// curl asks for the same pages and throws them away.
function floor(url) {
  const file = join(servers.dir, 'pages.curl');
  let text = `user = "u:${key}"\nheader = "Accept: application/json"\n`;
  for (let at = 1; at <= rows; at += pageRows) text += `url = "${url}/group/${rows}/contacts?startindex=${at}&maxrows=${pageRows}"\noutput = /dev/null\n`;
  writeFileSync(file, text);
  const start = process.hrtime.bigint();
  execFileSync('taskset', ['-c', '0', 'curl', '-sS', '-K', file], { stdio: 'ignore' });
  return { rows, seconds: Number(process.hrtime.bigint() - start) / 1e9 };
}

const node = (url) => nodeRun(servers, 'node-yespo.mjs', { YESPO_URL: url, YESPO_KEY: key }, (n) => ({ group: n, pageRows, key: 'bench' }), nodeRows);

const headraceRun = (n) => headrace.run(n, `type: yespo, credential: yespo, group: "${n}", page_rows: ${pageRows}, compress: false`, 'type: redis, key: bench, as: list, chunk_rows: 1000');

async function main() {
  const url = await simulator();
  headrace.credential('yespo', key, '--kind', 'http', '-s', `url=${url}`, '--host', new URL(url).host);
  floor(url); // now the simulator has the texts
  const rounds = await quietRounds(repeat, ['floor', 'headrace', 'node'], (name) => {
    console.error(`yespo: ${name}`);
    return { floor: () => floor(url), headrace: () => headraceRun(rows), node: () => node(url) }[name]();
  });
  const all = (name) => rounds.map((round) => round[name]);
  const memory = [];
  for (const n of sizes) memory.push(`| ${n.toLocaleString('en')} contacts | ${(await headraceRun(n)).rss.toFixed(1)} |`);
  const text = `
## Yespo → Redis

${rows.toLocaleString('en')} contacts of about 490 bytes (Node: ${nodeRows.toLocaleString('en')}) from the simulator, pages of ${pageRows}, list of 1000-row chunks; medians (slowest..fastest) of ${repeat}
rounds, those of up to three times as many in which the host gave least CPU time to others. Headrace: the whole run as its history shows
it, 17 columns, with the proof of the end. Node: pages parsed, ids checked, contacts written as they came; nothing is mapped or proven.

| | contacts/s | CPU-s per million | peak RSS MiB |
| --- | --- | --- | --- |
${lineOf('Headrace', all('headrace'), rows)}
${lineOf('Node worker', all('node'), nodeRows)}
${lineOf('floor: curl of the pages to /dev/null', all('floor'), rows)}

| ratio | value |
| --- | --- |
| Headrace / Node | ${ratioOf(rowSpeed, all('headrace'), all('node')).toFixed(2)} |
| Headrace / floor | ${(ratioOf(rowSpeed, all('headrace'), all('floor')) * 100).toFixed(0)} % |
${memory.length ? `\n| peak RSS of Headrace | MiB |\n| --- | --- |\n${memory.join('\n')}\n` : ''}`;
  console.log(text);
  if (options.out) appendFileSync(options.out, text);
}

try { await main(); } finally { await servers.stop(); }
