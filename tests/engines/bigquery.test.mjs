// Our BigQuery source on bqemulator (PyPI; DuckDB underneath): what somebody else understands by BigQuery's API. It takes any
// token, so the token comes from a metadata server of ours. HEADRACE_BQEMULATOR is its program; without it, all is skipped.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { readSource } from './source.mjs';

const program = process.env.HEADRACE_BQEMULATOR;

describe('bqemulator', { timeout: 300_000, skip: program ? false : 'HEADRACE_BQEMULATOR is not set' }, () => {
  let emulator, metadata, host, rest, grpc;
  const read = (query, options = {}) => readSource(
    { type: 'bigquery', credential: 'engine', project: 'headrace-test', query, read: 'rest', ...options },
    { settings: { auth: 'metadata', metadata_host: host, url: `http://127.0.0.1:${rest}`, storage_url: `http://127.0.0.1:${grpc}` }, secret: '', allowed_hosts: ['127.0.0.1'] },
  );

  before(async () => {
    metadata = createServer((request, response) => {
      response.setHeader('Metadata-Flavor', 'Google');
      response.end(JSON.stringify({ access_token: 'any', expires_in: 3599, token_type: 'Bearer' }));
    }).listen(0, '127.0.0.1');
    await once(metadata, 'listening');
    host = `127.0.0.1:${metadata.address().port}`;
    emulator = spawn(program, ['start', '--rest-port', '0', '--grpc-port', '0', '--project', 'headrace-test', '--log-format', 'json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = [];
    await Promise.race([
      new Promise((resolve) => {
        for (const stream of [emulator.stdout, emulator.stderr]) createInterface(stream).on('line', (line) => {
          said.push(line);
          const [, what, port] = line.match(/(?=.*"event": "(rest|grpc)\.listen").*"port": (\d+)/) ?? [];
          if (what === 'rest') rest = port;
          if (what === 'grpc') grpc = port;
          if (rest && grpc) resolve();
        });
      }),
      once(emulator, 'exit').then(() => { throw new Error(`bqemulator ended: ${said.slice(-5).join('\n')}`); }),
    ]);
  });
  after(() => { emulator?.kill('SIGKILL'); metadata?.close(); });

  // It has no bytes (DuckDB's parser refuses them) and says of a GEOGRAPHY that it is BYTES.
  const types = {
    "SELECT 1 AS i, CAST(-9223372036854775808 AS INT64) AS j, 1.25 AS f, TRUE AS b, 'Київ' AS s, CAST(NULL AS STRING) AS n":
      [{ i: 'int64', j: 'int64', f: 'float64', b: 'boolean', s: 'string', n: 'string' }, '{"i":1,"j":-9223372036854775808,"f":1.25,"b":true,"s":"Київ","n":null}'],
    "SELECT NUMERIC '-1.500000001' AS n": [{ n: 'decimal(38,9)' }, '{"n":-1.500000001}'],
    "SELECT DATE '2026-11-21' AS d, TIME '18:00:01.5' AS t, DATETIME '2026-11-21 18:00:01.25' AS dt, TIMESTAMP '2026-11-21 18:00:01.123456+02' AS ts":
      [{ d: 'date', t: 'time', dt: 'string', ts: 'timestamp' }, '{"d":"2026-11-21","t":"18:00:01.500000","dt":"2026-11-21T18:00:01.250000","ts":"2026-11-21T16:00:01.123456Z"}'],
    "SELECT [1,2] AS a, STRUCT(1 AS x, 'y' AS y, [TRUE] AS z) AS s, [STRUCT(1 AS x)] AS l, CAST([] AS ARRAY<STRING>) AS e":
      [{ a: 'json!', s: 'json', l: 'json!', e: 'json!' }, '{"a":[1,2],"s":{"x":1,"y":"y","z":[true]},"l":[{"x":1}],"e":[]}'],
    "SELECT JSON '{\"a\":[1,null]}' AS j": [{ j: 'json' }, '{"j":{"a":[1,null]}}'],
  };
  for (const [query, [columns, row]] of Object.entries(types)) {
    it(query, async () => {
      const ours = await read(query);
      assert.deepEqual(ours.columns, columns, JSON.stringify(ours));
      assert.deepEqual(ours.rows, [row]);
    });
  }

  const many = 'SELECT n, CAST(n AS STRING) AS s FROM UNNEST(GENERATE_ARRAY(1, 30000)) AS n ORDER BY n';
  const allOfMany = Array.from({ length: 30_000 }, (_, i) => `{"n":${i + 1},"s":"${i + 1}"}`);

  it('every row of several pages, in order', async () => {
    const ours = await read(many);
    assert.deepEqual(ours.rows, allOfMany);
    assert.match(ours.end.proof, /^30000 rows .* [2-9] pages/);
  });

  it('a read session on a result that is not kept as a table is refused', async () => {
    const { error } = await read(many, { read: 'storage' });
    assert.equal(error?.code, 'source.incomplete');
    assert.match(error.message, /refused to open a read session.*NOT_FOUND/s);
  });

  it('a parameter of the query', async () => {
    const ours = await read('SELECT @n + 1 AS n', { parameters: { n: '41' }, parameter_types: { n: 'INT64' } });
    assert.deepEqual(ours.rows, ['{"n":42}'], JSON.stringify(ours));
  });

  it('refusals are the engine\'s own words', async () => {
    for (const [query, words] of [['SELEC 1', /SELEC|Syntax|parse/i], ['SELECT * FROM `headrace-test.nope.t`', /headrace-test:nope/]]) {
      const { error } = await read(query);
      assert.equal(error?.code, 'source.query', query);
      assert.match(error.message, words);
    }
  });
});
