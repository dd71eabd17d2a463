// BigQuery → columns by REST and by Storage Read, beside a Node worker with Google's own clients (rows to JSON text), on the same
// simulator and cores, in one run. Prints; with --out appends to the file.
//   node bench/source/run.mjs [--rows 1000000] [--node-rows 200000] [--memory 10000000] [--build build/release] [--out FILE]
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({ options: {
  rows: { type: 'string', default: '1000000' }, 'node-rows': { type: 'string', default: '200000' },
  memory: { type: 'string', default: '10000000' }, build: { type: 'string', default: 'build/release' }, out: { type: 'string' },
} });
const program = resolve(options.build, 'bench/source/bench_bigquery_ways');
const run = (file, ...args) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

const ways = Object.fromEntries([...run(program, '--rows', options.rows).matchAll(/^(\w+) +(\d+) +([\d.]+) +(\d+)$/gm)]
  .map(([, name, speed, cpu]) => [name, { speed: Number(speed), cpu: Number(cpu) }]));
const node = Object.fromEntries([...run('taskset', '-c', '0', process.execPath, 'bench/source/node-bigquery.mjs', '--rows', options['node-rows'],
  '--build', options.build).matchAll(/^(\w+) +(\d+) rows\/s +([\d.]+) CPU-s/gm)].map(([, name, speed, cpu]) => [name, { speed: Number(speed), cpu: Number(cpu) }]));
const peak = options.memory === '' ? '' : run(program, '--rows', options.memory, '--repeat', '1', '--ways', 'storage').match(/peak RSS (\d+) MiB/)[1];

const line = (title, one) => `| ${title} | ${one.speed.toLocaleString('en')} | ${one.cpu.toFixed(2)} |`;
const text = `## BigQuery by REST and by Storage Read

${Number(options.rows).toLocaleString('en')} rows of 8 mixed columns (Node: ${Number(options['node-rows']).toLocaleString('en')}) from the simulator on the other core, from socket to columns (Node: to JSON text); medians of three. ${cpus()[0].model}.

| | rows/s | CPU-s per million rows |
| --- | --- | --- |
${line('Headrace, Storage Read, 4 streams', ways.storage)}
${line('Headrace, Storage Read, 1 stream', ways.storage1)}
${line('Headrace, REST', ways.rest)}
${line('Headrace, REST with gzip', ways.gzip)}
${line('Node, Storage Read (@google-cloud/bigquery-storage, avsc)', node.storage)}
${line('Node, REST (@google-cloud/bigquery)', node.rest)}

| ratio | value |
| --- | --- |
| Storage Read / REST | ${(ways.storage.speed / ways.rest.speed).toFixed(2)} |
| Storage Read / REST with gzip | ${(ways.storage.speed / ways.gzip.speed).toFixed(2)} |
| Storage Read: Headrace / Node | ${(ways.storage.speed / node.storage.speed).toFixed(1)} |
| REST: Headrace / Node | ${(ways.rest.speed / node.rest.speed).toFixed(1)} |
${peak === '' ? '' : `
Peak RSS of the reading process at ${Number(options.memory).toLocaleString('en')} rows by Storage Read: ${peak} MiB.
`}`;
console.log(text);
if (options.out) writeFileSync(options.out, `${existsSync(options.out) ? `${readFileSync(options.out, 'utf8').trimEnd()}\n\n` : ''}${text}`);
