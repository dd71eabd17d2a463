// deploy/nginx.conf and deploy/Caddyfile with the real servers, before the mock API: what goes where, with which headers,
// and that an event gets through both at once. Only ports, paths and names are replaced.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const root = new URL('../../', import.meta.url).pathname;
const dist = join(root, 'web/dist');
const has = (program) => { try { execFileSync('sh', ['-c', `command -v ${program}`], { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }); return true; } catch { return false; } };
const skip = !has('nginx') ? 'nginx is not installed' : !has('caddy') ? 'caddy is not installed' : !existsSync(join(dist, 'index.html.gz')) ? 'web/dist is not built' : false;

const freePort = () => new Promise((resolve) => {
  const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => resolve(port)); });
});
async function answers(url) {
  const end = Date.now() + 20_000;
  for (;;) {
    try { await fetch(url, { redirect: 'manual' }); return; } catch (e) { if (Date.now() > end) throw e; await new Promise((r) => { setImmediate(r); }); }
  }
}

describe('the edge', { skip, concurrency: false }, () => {
  const children = [];
  let dir;
  let web;
  let edge;
  let mock;
  let cookie;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'headrace-edge-'));
    const [mockPort, webPort, edgePort] = [await freePort(), await freePort(), await freePort()];
    [mock, web, edge] = [mockPort, webPort, edgePort].map((p) => `http://127.0.0.1:${p}`);
    const conf = readFileSync(join(root, 'deploy/nginx.conf'), 'utf8')
      .replace('pid /run/nginx.pid;', `pid ${dir}/nginx.pid; daemon off;`).replace('listen 80;', `listen 127.0.0.1:${webPort};`)
      .replace('root /usr/share/headrace/web;', `root ${dist};`).replace('server 127.0.0.1:3000;', `server 127.0.0.1:${mockPort};`)
      .replace('worker_processes auto;', 'worker_processes 1; user root;')
      .replace('access_log off;', ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((k) => `${k}_temp_path ${dir}/${k};`).join(' ') + ' access_log off;');
    writeFileSync(join(dir, 'nginx.conf'), conf);
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, HEADRACE_DOMAIN: edge, HEADRACE_API: `127.0.0.1:${mockPort}`, HEADRACE_WEB: `127.0.0.1:${webPort}`, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    writeFileSync(join(dir, 'Caddyfile'), `{\n\tadmin off\n}\n${readFileSync(join(root, 'deploy/Caddyfile'), 'utf8')}`);
    children.push(
      spawn('node', [join(root, 'web/mock/server.mjs'), '--port', String(mockPort), '--quiet', '--runs', '600'], { stdio: 'ignore' }),
      spawn('nginx', ['-c', join(dir, 'nginx.conf'), '-p', dir], { env, stdio: 'ignore' }),
      spawn('caddy', ['run', '--adapter', 'caddyfile', '--config', join(dir, 'Caddyfile')], { env, stdio: 'ignore' }),
    );
    await Promise.all([mock, web, edge].map(answers));
    const login = await fetch(`${edge}/api/auth/dev-login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"token":"mock-token-0123456789"}' });
    assert.equal(login.status, 204);
    cookie = login.headers.get('set-cookie').split(';')[0];
  });
  after(async () => {
    await Promise.all(children.map((c) => new Promise((done) => { c.on('exit', done); c.kill('SIGTERM'); })));
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  for (const at of ['nginx', 'caddy']) {
    const base = () => (at === 'nginx' ? web : edge);
    test(`${at}: addresses of the page give the page, others do not`, async () => {
      for (const path of ['/etl', '/etl/runs/8f3a', '/etl/p/ch.top_dests', '/credentials', '/login?t=x']) {
        const r = await fetch(base() + path);
        assert.equal(r.status, 200, path);
        assert.match(await r.text(), /<div id="app">/);
        assert.equal(r.headers.get('cache-control'), 'no-cache');
        assert.match(r.headers.get('content-security-policy'), /default-src 'none'/);
      }
      for (const path of ['/etlx', '/wp-admin', '/assets/none.js', '/api/metrics', '/.git/config']) assert.equal((await fetch(base() + path)).status, 404, path);
      assert.equal((await fetch(base() + '/', { redirect: 'manual' })).headers.get('location')?.replace(/^https?:\/\/[^/]+/, ''), '/etl');
      assert.match(await (await fetch(`${base()}/robots.txt`)).text(), /Disallow/);
    });
    test(`${at}: assets are compressed and kept for ever`, async () => {
      const name = readdirSync(join(dist, 'assets')).find((n) => /^index-.*\.js$/.test(n));
      const r = await fetch(`${base()}/assets/${name}`, { headers: { 'accept-encoding': 'gzip' } });
      assert.equal(r.headers.get('content-encoding'), 'gzip');
      assert.match(r.headers.get('cache-control'), /immutable/);
      assert.equal(r.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(await r.text(), readFileSync(join(dist, 'assets', name), 'utf8'));
    });
    test(`${at}: an event arrives at once, not when a buffer is full`, { timeout: 20_000 }, async () => {
      const stop = new AbortController();
      const r = await fetch(`${base()}/api/etl/events`, { headers: { cookie, 'accept-encoding': 'gzip' }, signal: stop.signal });
      assert.equal(r.headers.get('content-type'), 'text/event-stream');
      assert.equal(r.headers.get('content-encoding'), null);
      const reader = r.body.pipeThrough(new TextDecoderStream()).getReader();
      assert.match((await reader.read()).value, /^retry: 2000\n/);
      await fetch(`${mock}/mock/fail?name=ch.routes`);
      let text = '';
      while (!text.includes('event: run.created')) text += (await reader.read()).value;
      stop.abort();
    });
  }
});
