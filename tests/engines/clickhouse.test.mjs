// Our ClickHouse source on a current engine: every type in both formats, as the engine itself says it in JSON.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isInstalled, startClickHouse } from './clickhouse-server.mjs';
import { readSource } from './source.mjs';

// Those that say the same in JSON as we do.
const queries = {
  integers: 'SELECT toInt8(-128) AS a, toInt16(-32768) AS b, toInt32(-2147483648) AS c, toInt64(\'-9223372036854775808\') AS d, toUInt8(255) AS e, toUInt16(65535) AS f, toUInt32(4294967295) AS g, toUInt64(\'18446744073709551615\') AS h',
  'wide integers': 'SELECT toInt128(\'-170141183460469231731687303715884105728\') AS a, toUInt128(\'340282366920938463463374607431768211455\') AS b, toInt256(\'-57896044618658097711785492504343953926634992332820282019728792003956564819968\') AS c, toUInt256(\'115792089237316195423570985008687907853269984665640564039457584007913129639935\') AS d',
  floats: 'SELECT toFloat32(0.1) AS a, toFloat64(-1.25) AS b, 0 / 0 AS c, 1 / 0 AS d, toFloat32(16777216) AS e',
  strings: 'SELECT \'\' AS a, \'Київ\' AS b, \'quote" back\\\\slash\\n\' AS c, toFixedString(\'abc\', 3) AS d',
  decimals: 'SELECT toDecimal32(\'-12.30\', 2) AS a, toDecimal64(\'0.0001\', 4) AS b, toDecimal128(\'-1234567890123456789012345678.0123456789\', 10) AS c, toDecimal256(\'1.5\', 60) AS d',
  dates: 'SELECT toDate(\'2026-11-21\') AS a, toDate32(\'1925-01-02\') AS b',
  'bool, UUID and addresses': 'SELECT true AS a, toUUID(\'61f0c404-5cb3-11e7-907b-a6006ad3dba0\') AS b, toIPv4(\'10.0.255.1\') AS c, toIPv6(\'2001:db8::ff00:42:8329\') AS d, toIPv6(\'::ffff:1.2.3.4\') AS e',
  enums: 'SELECT CAST(\'b\', \'Enum8(\\\'a\\\' = 1, \\\'b\\\' = -2)\') AS a, CAST(\'y\', \'Enum16(\\\'x\\\' = 300, \\\'y\\\' = -300)\') AS b',
  nullables: 'SELECT arrayJoin([1, NULL, 3]) AS a, toNullable(\'x\') AS b, NULL AS c, if(a = 1, NULL, toUUID(\'61f0c404-5cb3-11e7-907b-a6006ad3dba0\')) AS d',
  'low cardinality': 'SELECT CAST(arrayJoin([\'x\', \'y\', \'x\']), \'LowCardinality(String)\') AS a, CAST(NULL, \'LowCardinality(Nullable(String))\') AS b, CAST([\'p\', \'q\', \'p\'], \'Array(LowCardinality(String))\') AS c',
  arrays: 'SELECT [1, 2] AS a, [[\'x\'], []] AS b, [1, NULL] AS c, [] AS d, [(1, \'a\'), (2, \'b\')] AS e, [toDate(\'2026-01-02\')] AS f',
  'tuples and maps': 'SELECT (1, \'x\', [2.5]) AS a, CAST((1, \'x\'), \'Tuple(n UInt8, s String)\') AS b, map(\'k\', 1, \'l\', 2) AS c, map(\'m\', map(\'n\', [1])) AS d',
  'many blocks': 'SELECT number AS a, toString(number) AS b, intDiv(number, 3) * -1 AS c, CAST(toString(number % 7), \'LowCardinality(String)\') AS d FROM numbers(200000)',
  nothing: 'SELECT number AS n, toString(number) AS s, [number] AS l FROM numbers(10) WHERE 0',
};
const settings = 'SETTINGS output_format_json_quote_64bit_integers = 0, output_format_decimal_trailing_zeros = 1';

describe('a current ClickHouse', { timeout: 300_000, skip: isInstalled() ? false : 'npm chdb is not installed' }, () => {
  let engine;
  const read = (query, options = {}, credential = {}) => readSource(
    { type: 'clickhouse', credential: 'engine', query, ...options },
    { settings: { url: engine.url, user: engine.user }, secret: engine.password, allowed_hosts: ['127.0.0.1'], ...credential },
  );

  before(async () => {
    engine = await startClickHouse();
    console.log(`# ClickHouse ${engine.ask('SELECT version()', 'TabSeparated').trim()}`);
  });
  after(() => engine.close());

  for (const format of ['native', 'row_binary']) {
    for (const [name, query] of Object.entries(queries)) {
      it(`${name}, as ${format}`, async () => {
        const ours = await read(query, { format });
        assert.equal(ours.error, undefined);
        const theirs = engine.ask(`${query}\n${settings}`).trimEnd();
        assert.equal(ours.rows.join('\n'), theirs);
        assert.equal(ours.end.rows, ours.rows.length);
      });
    }

    it(`times have a zone, as ${format}`, async () => {
      const { rows, columns } = await read('SELECT toDateTime(\'2026-11-21 18:00:01\', \'Europe/Kiev\') AS a, toDateTime64(\'2026-11-21 18:00:01.123456\', 6, \'UTC\') AS b, toDateTime64(\'1925-01-01 00:00:00.5\', 1, \'UTC\') AS c', { format });
      assert.deepEqual(rows.map((row) => JSON.parse(row)), [{ a: '2026-11-21T16:00:01.000Z', b: '2026-11-21T18:00:01.123456Z', c: '1925-01-01T00:00:00.500Z' }]);
      assert.deepEqual(new Set(Object.values(columns)), new Set(['timestamp!']));
    });

    it(`what cannot be held exactly is refused with its column, as ${format}`, async () => {
      const fine = await read('SELECT toDateTime64(\'2026-11-21 18:00:01.123456789\', 9, \'UTC\') AS t', { format });
      assert.equal(fine.error.code, 'source.bad_data', JSON.stringify(fine));
      assert.match(fine.error.message, /`t`.*toDateTime64\(column, 6\)/);
      for (const type of ['Variant(String, UInt8)', 'Dynamic', 'JSON']) {
        const { error } = await read(`SELECT CAST('{}', '${type}') AS odd`, { format });
        assert.equal(error?.code, 'source.unsupported', type);
        assert.match(error.message, /odd/);
      }
    });
  }

  it('parameters of a query', async () => {
    const { rows, error } = await read('SELECT {n:UInt32} + 1 AS n, {s:String} AS s', { parameters: { n: '41', s: 'it\'s a\ttab' } });
    assert.equal(error, undefined);
    assert.deepEqual(rows, ['{"n":42,"s":"it\'s a\\ttab"}']);
  });

  it('refusals are the engine\'s own words', async () => {
    for (const [query, words] of [['SELECT 1 FROM nope', /nope/], ['SELEC 1', /Syntax error/], ['SELECT throwIf(number = 5) AS x FROM numbers(10)', /throwIf/]]) {
      const { error } = await read(query);
      assert.equal(error?.code, 'source.query', query);
      assert.match(error.message, words);
    }
    const { error } = await read('SELECT 1', {}, { secret: 'wrong' });
    assert.equal(error?.code, 'source.auth');
    assert.doesNotMatch(error.message, /wrong/);
  });
});
