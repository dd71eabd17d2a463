// A current ClickHouse (npm chdb: the engine as a library) behind the part of its HTTP interface that our source uses. Answers
// are the engine's own bytes, whole: what fails, fails with a status, as with wait_end_of_query=1.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const protocol = new Set(['database', 'query_id', 'default_format', 'wait_end_of_query', 'buffer_size', 'compress', 'query']);
const statusOf = { 47: 404, 60: 404, 62: 400, 73: 404, 115: 404, 516: 403 };

export function isInstalled() {
  try { return Boolean(require.resolve('chdb')); } catch { return false; }
}

// { url, user, password, ask(sql): text of JSONEachRow and the like, close() }
export async function startClickHouse() {
  const { Session } = require('chdb');
  const session = new Session();
  const user = 'reader', password = 'engine-password';

  async function answer(request, body) {
    const url = new URL(request.url, 'http://engine');
    if (request.headers['x-clickhouse-user'] !== user || request.headers['x-clickhouse-key'] !== password)
      throw new Error(`Code: 516. DB::Exception: ${request.headers['x-clickhouse-user']}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`);
    const settings = [], values = {};
    for (const [name, value] of url.searchParams) {
      if (name.startsWith('param_')) values[name.slice(6)] = value.replace(/\\(.)/g, (_, c) => ({ t: '\t', n: '\n' })[c] ?? c); // as in TabSeparated
      else if (!protocol.has(name)) settings.push(`${name} = '${value.replaceAll('\'', '\\\'')}'`);
    }
    const sql = `${body}\n${settings.length && /^\s*(select|with|describe)/i.test(body) ? `SETTINGS ${settings.join(', ')}` : ''}`;
    const format = url.searchParams.get('default_format') ?? 'TabSeparated';
    const result = await (Object.keys(values).length ? session.queryBindAsync(sql, values, { format }) : session.queryAsync(sql, { format }));
    return result.bytes();
  }

  const server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    try {
      const bytes = await answer(request, Buffer.concat(pieces).toString());
      response.writeHead(200, { 'X-ClickHouse-Timezone': 'UTC' });
      response.end(bytes);
    } catch (error) {
      const text = error.message.replace(/^Query failed: /, '');
      const code = text.match(/Code: (\d+)/)?.[1] ?? '1002';
      response.writeHead(statusOf[code] ?? 500, { 'X-ClickHouse-Exception-Code': code });
      response.end(text);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    user,
    password,
    ask: (sql, format = 'JSONEachRow') => session.query(sql, format),
    close: () => { server.closeAllConnections(); server.close(); session.close(); },
  };
}
