// What a Node worker with Google's own clients makes of the same simulator: rows of a result to lines of JSON, by REST and by
// Storage Read. Beside `bench_bigquery_ways`; the same cores.
//   node bench/source/node-bigquery.mjs [--rows 200000] [--build build/release]     (needs tests/interop/bigquery/node_modules)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '200000' }, build: { type: 'string', default: 'build/release' } } });
const require = createRequire(resolve('tests/interop/bigquery/package.json'));
const { BigQuery } = require('@google-cloud/bigquery');
const { BigQueryReadClient } = require('@google-cloud/bigquery-storage');
const { grpc } = require('google-gax');
const avro = require('avsc');
process.env.METADATA_SERVER_DETECTION = 'none';

const rows = Number(options.rows), project = 'headrace-test';
const child = spawn('taskset', ['-c', '1', resolve(options.build, 'bigquery_simulator'), '--no-auth', '--project', project,
  '--table', `${project}.d.t=${rows}`, '--page-rows', '50000'], { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = await once(createInterface(child.stdout), 'line');
const [, apiEndpoint, port] = line.match(/(http:\S+) Storage Read: http:\/\/127\.0\.0\.1:(\d+)/);

async function rest() {
  const bigquery = new BigQuery({ projectId: project, apiEndpoint });
  let count = 0, bytes = 0;
  for await (const row of bigquery.createQueryStream(`SELECT * FROM \`${project}.d.t\``)) {
    bytes += JSON.stringify(row).length;
    count += 1;
  }
  return { count, bytes };
}

async function storage() {
  const client = new BigQueryReadClient({ projectId: project, servicePath: '127.0.0.1', port: Number(port), sslCreds: grpc.credentials.createInsecure() });
  const [session] = await client.createReadSession({ parent: `projects/${project}`, maxStreamCount: 4,
    readSession: { table: `projects/${project}/datasets/d/tables/t`, dataFormat: 'AVRO' } });
  const type = avro.Type.forSchema(JSON.parse(session.avroSchema.schema));
  let count = 0, bytes = 0;
  await Promise.all(session.streams.map(async ({ name }) => {
    for await (const response of client.readRows({ readStream: name, offset: 0 })) {
      const block = response.avroRows.serializedBinaryRows;
      for (let at = 0; at < block.length;) {
        const { value, offset } = type.decode(block, at);
        bytes += JSON.stringify(value).length;
        count += 1;
        at = offset;
      }
    }
  }));
  await client.close();
  return { count, bytes };
}

console.log(`${rows} rows of 8 mixed columns; Node ${process.version}`);
for (const [name, read] of Object.entries({ rest, storage })) {
  await read(); // the simulator renders its answers once
  const cpu = process.cpuUsage(), begin = process.hrtime.bigint();
  const { count } = await read();
  if (count !== rows) throw new Error(`${name}: ${count} rows`);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9, used = process.cpuUsage(cpu);
  console.log(`${name.padEnd(10)} ${Math.round(rows / seconds)} rows/s  ${((used.user + used.system) / rows).toFixed(2)} CPU-s per million`);
}
console.log(`peak RSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
child.kill('SIGTERM');
