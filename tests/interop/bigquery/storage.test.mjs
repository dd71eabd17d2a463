// npm @google-cloud/bigquery-storage reads from the simulator's gRPC server. HEADRACE_BUILD is the build folder.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, describe, it } from 'node:test';
import { BigQueryReadClient } from '@google-cloud/bigquery-storage';
import avro from 'avsc';
import { grpc } from 'google-gax';

process.env.METADATA_SERVER_DETECTION = 'none'; // this is no machine of Google's

const program = `${process.env.HEADRACE_BUILD ?? 'build/dev'}/bigquery_simulator`;
const project = 'headrace-test';
const running = [];
const clients = [];

// Starts a simulator; a client that points at it.
async function simulator(...options) {
  const child = spawn(program, ['--no-auth', '--project', project, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  const [line] = await once(createInterface(child.stdout), 'line');
  const port = Number(line.match(/Storage Read: http:\/\/127\.0\.0\.1:(\d+)/)[1]);
  const client = new BigQueryReadClient({ projectId: project, servicePath: '127.0.0.1', port, sslCreds: grpc.credentials.createInsecure() });
  clients.push(client);
  return client;
}

after(async () => {
  await Promise.all(clients.map((client) => client.close()));
  running.forEach((child) => child.kill('SIGTERM'));
});

const session = async (client, table, maxStreamCount) => {
  const [made] = await client.createReadSession({
    parent: `projects/${project}`,
    readSession: { table: `projects/${project}/datasets/d/tables/${table}`, dataFormat: 'AVRO' },
    maxStreamCount,
  });
  return made;
};

// Rows of a response stand one behind the other.
function decode(type, bytes) {
  const rows = [];
  for (let at = 0; at < bytes.length;) {
    const { value, offset } = type.decode(bytes, at);
    assert.ok(offset > at, 'a whole row');
    rows.push(value);
    at = offset;
  }
  return rows;
}

const typeOf = (made) => avro.Type.forSchema(JSON.parse(made.avroSchema.schema), { registry: {}, wrapUnions: false,
  typeHook: (schema, options) => (schema.type === 'long' || schema === 'long' ? avro.types.LongType.__with({
    fromBuffer: (buffer) => buffer.readBigInt64LE(), toBuffer: () => { throw new Error('only read'); },
    fromJSON: BigInt, toJSON: Number, isValid: (n) => typeof n === 'bigint', compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
  }) : undefined) });

async function readStream(client, made, index, offset = 0) {
  const type = typeOf(made);
  const rows = [];
  for await (const response of client.readRows({ readStream: made.streams[index].name, offset })) {
    const some = decode(type, response.avroRows.serializedBinaryRows);
    assert.equal(some.length, Number(response.rowCount));
    rows.push(...some);
  }
  return rows;
}

describe('Storage Read of the simulator under the official client', { timeout: 60_000 }, () => {
  it('gives every row on one of several streams', async () => {
    const client = await simulator('--table', `${project}.d.t=2500`, '--response-rows', '300');
    const made = await session(client, 't', 3);
    assert.equal(made.streams.length, 3);
    const rows = (await Promise.all([0, 1, 2].map((i) => readStream(client, made, i)))).flat();
    assert.deepEqual(rows.map((row) => Number(row.id)), Array.from({ length: 2500 }, (_, i) => i + 1));
    assert.equal(rows[0].name, 'Lounge 822465');
    assert.equal(rows[0].country, 'GB');
    assert.equal(rows[0].ratio, 0.03978);
    assert.equal(rows[0].active, true);
    assert.equal(rows[0].day, Date.UTC(2020, 10, 26) / 86_400_000);
    assert.equal(rows[0].updated_at, 1789600892374487n);
    assert.equal(BigInt(`0x${rows[0].amount.toString('hex')}`), 39053930000000n);
    assert.ok(rows.some((row) => row.country === null));
  });

  it('goes on at an offset, ends at the last row, and refuses what is behind it', async () => {
    const client = await simulator('--table', `${project}.d.t=1000`);
    const made = await session(client, 't', 1);
    assert.deepEqual((await readStream(client, made, 0, 990)).map((row) => Number(row.id)), [991, 992, 993, 994, 995, 996, 997, 998, 999, 1000]);
    assert.deepEqual(await readStream(client, made, 0, 1000), []);
    await assert.rejects(readStream(client, made, 0, 1001), (error) => error.code === grpc.status.FAILED_PRECONDITION);
  });

  it('has every type in Avro', async () => {
    const client = await simulator('--every-type', `${project}.d.t`);
    const [row, none] = await readStream(client, await session(client, 't', 1), 0);
    assert.equal(row.int64, -9223372036854775808n);
    assert.equal(row.float_inf, -Infinity);
    assert.equal(row.string, 'Київ "quoted" \\ \u2028 \n line');
    assert.deepEqual([...row.bytes], [0, 1, 255]);
    assert.equal(row.time, 86_399_999_999n);
    assert.equal(row.bignumeric.length, 32);
    assert.deepEqual(row.list, [1n, 2n]);
    assert.equal(row.record.label, 'one');
    assert.equal(row.records[1].label, 'b');
    assert.equal(row.range.end, null);
    assert.equal(none.record, null);
    assert.deepEqual(none.records, []);
  });

  it('says what is refused, and breaks where it is told to', async () => {
    const client = await simulator('--table', `${project}.d.t=1000`, '--response-rows', '100',
      '--fault', 'session:status:2:1:0:PERMISSION_DENIED', '--fault', 'read:status:1:1:3:DATA_LOSS');
    const made = await session(client, 't', 1);
    await assert.rejects(readStream(client, made, 0), (error) => error.code === grpc.status.DATA_LOSS);
    assert.equal((await readStream(client, made, 0, 300)).length, 700);
    await assert.rejects(session(client, 't', 1), (error) => error.code === grpc.status.PERMISSION_DENIED);
    await assert.rejects(session(client, 'none', 1), (error) => error.code === grpc.status.NOT_FOUND);
  });
});
