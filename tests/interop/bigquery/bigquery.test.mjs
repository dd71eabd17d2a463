// npm @google-cloud/bigquery reads from the simulator. HEADRACE_BUILD is the build folder.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { BigQuery } from '@google-cloud/bigquery';

process.env.METADATA_SERVER_DETECTION = 'none'; // this is no machine of Google's

const program = `${process.env.HEADRACE_BUILD ?? 'build/dev'}/bigquery_simulator`;
const running = [];

// Starts a simulator; a client that points at it.
async function simulator(...options) {
  const child = spawn(program, ['--no-auth', '--project', 'headrace-test', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  const [line] = await once(createInterface(child.stdout), 'line');
  const apiEndpoint = line.match(/http:\S+/)[0];
  return new BigQuery({ projectId: 'headrace-test', apiEndpoint });
}

after(() => running.forEach((child) => child.kill('SIGTERM')));

const plain = (row) =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value?.value ?? value?.toString?.() ?? value]));

describe('the BigQuery simulator under the official client', { timeout: 60_000 }, () => {
  it('gives every row of several pages, in order', async () => {
    const bigquery = await simulator('--table', 'headrace-test.d.t=2500', '--page-rows', '1000');
    const [rows] = await bigquery.query('SELECT * FROM `headrace-test.d.t`');
    assert.deepEqual(rows.map((row) => row.id), Array.from({ length: 2500 }, (_, i) => i + 1));
    assert.deepEqual(plain(rows[0]), {
      id: '1',
      name: 'Lounge 822465',
      country: 'GB',
      amount: '39053.93',
      ratio: '0.03978',
      active: 'true',
      day: '2020-11-26',
      updated_at: '2026-09-16T23:21:32.374487000Z',
    });
    assert.equal(rows.filter((row) => row.country === null).length > 50, true);
  });

  it('runs a job of its own, waits for it and pages by token', async () => {
    const bigquery = await simulator('--table', 'headrace-test.d.t=250', '--page-rows', '100', '--fault', 'page:pending:1:0:0:');
    const [job] = await bigquery.createQueryJob({ query: 'SELECT id, name FROM t', defaultDataset: { datasetId: 'd', projectId: 'headrace-test' } });
    const ids = [];
    let query = { autoPaginate: false, maxResults: 70 };
    let pages = 0;
    while (query) {
      const [rows, next] = await job.getQueryResults(query);
      ids.push(...rows.map((row) => row.id));
      query = next;
      pages += 1;
    }
    assert.equal(ids.length, 250);
    assert.equal(pages, 4);
    const [metadata] = await job.getMetadata();
    assert.equal(metadata.status.state, 'DONE');
    assert.equal(metadata.statistics.query.totalBytesBilled, '10485760');
  });

  it('has every type as the client expects it', async () => {
    const bigquery = await simulator('--every-type', 'headrace-test.d.t');
    const [rows] = await bigquery.query({ query: 'SELECT * FROM `headrace-test.d.t`', wrapIntegers: true, parseJSON: true });
    const row = rows[0];
    assert.equal(row.int64.value, '-9223372036854775808');
    assert.equal(row.float64, 0.1);
    assert.equal(Number.isNaN(row.float_nan), true);
    assert.equal(row.float_inf, -Infinity);
    assert.equal(row.numeric.toFixed(), '-99999999999999999999999999999.999999999');
    assert.equal(row.bignumeric.toFixed(), '578960446186580977117854925043439539266.34992332820282019728792003956564819967');
    assert.equal(row.bool, true);
    assert.equal(row.string, 'Київ "quoted" \\ \u2028 \n line');
    assert.deepEqual([...row.bytes], [0, 1, 255]);
    assert.equal(row.date_low.value, '0001-01-01');
    assert.equal(row.datetime.value, '2026-11-21T18:00:01.102003');
    assert.equal(row.time.value, '23:59:59.999999');
    assert.equal(row.timestamp.value, '2026-11-21T18:00:01.102003000Z');
    assert.deepEqual(row.json, { a: [1, null, 'x'] });
    assert.equal(row.geography.value, 'POINT(30.5 50.4)');
    assert.equal(row.record.label, 'one');
    assert.deepEqual(row.list.map((item) => item.value), ['1', '2']);
    assert.deepEqual(row.list_empty, []);
    assert.equal(row.records.length, 2);
    assert.equal(row.records[1].label, 'b');
    assert.equal(rows[1].record, null);
    assert.equal(rows[1].timestamp, null);
  });

  it('tells the cost of a dry run and the reason of a refusal', async () => {
    const bigquery = await simulator('--table', 'headrace-test.d.t=10');
    const [job] = await bigquery.createQueryJob({ query: 'SELECT * FROM `headrace-test.d.t`', dryRun: true });
    assert.equal(job.metadata.statistics.totalBytesProcessed, '1000');
    await assert.rejects(bigquery.query('SELECT sum(x) FROM nothing'), (error) => error.errors[0].reason === 'invalidQuery');
  });

  it('is tried again where the client tries again', async () => {
    const bigquery = await simulator('--table', 'headrace-test.d.t=250', '--page-rows', '100', '--fault', 'page:status:2:1:503:backendError');
    const [rows] = await bigquery.query('SELECT * FROM `headrace-test.d.t`');
    assert.equal(rows.length, 250);
  });
});
