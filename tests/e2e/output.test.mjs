// What lies in Redis after a run is what the database's own client answers to the same SQL: value by value.
// HEADRACE_REDIS_CLI and HEADRACE_CLICKHOUSE_CLIENT are the command lines that `headrace dev` prints.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

const { HEADRACE_REDIS_CLI: redisCli, HEADRACE_CLICKHOUSE_CLIENT: clickhouseClient, HEADRACE_BINARY: binary } = process.env;
const skip = redisCli && clickhouseClient && binary ? false : 'HEADRACE_REDIS_CLI and HEADRACE_CLICKHOUSE_CLIENT are not set';
const run = (line, ...more) => {
  const [command, ...words] = line.trim().split(/\s+/);
  return execFileSync(command, [...words, ...more], { encoding: 'utf8', maxBuffer: 64 << 20 }).trim();
};

describe('the output of ch.top_dests', { skip, concurrency: false }, () => {
  const file = readFileSync(new URL('../../pipelines/ch.top_dests.yaml', import.meta.url), 'utf8');
  const sql = /query: \|\n((?: {4}.*\n)+)/.exec(file)[1];
  const expected = skip ? [] : run(clickhouseClient, '--output_format_json_quote_64bit_integers=0', '--query', `${sql} FORMAT JSONEachRow`)
    .split('\n').map((line) => JSON.parse(line));
  const get = (...words) => run(redisCli, ...words);

  test('json: the same rows in the same order, with the same text for each', () => {
    assert.equal(expected.length, 50);
    const text = get('GET', 'cache:ch.top_dests');
    assert.deepEqual(JSON.parse(text), expected);
    assert.equal(text, JSON.stringify(expected));
  });

  test('zset: every airport with its flights', () => {
    const flat = get('ZRANGE', 'cache:ch.top_dests:ranking', '0', '-1', 'WITHSCORES').split('\n');
    const pairs = new Map();
    for (let i = 0; i < flat.length; i += 2) pairs.set(flat[i], Number(flat[i + 1]));
    assert.deepEqual(pairs, new Map(expected.map((row) => [row.iata, row.flights])));
  });

  test('meta names the rows and the run', () => {
    const flat = get('HGETALL', 'cache:ch.top_dests:meta').split('\n');
    const meta = Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]));
    assert.equal(Number(meta.rows), 50);
    assert.match(meta.run, /^[0-9a-f-]{36}$/);
  });
});
