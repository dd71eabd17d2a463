// The budget of the page, in gzip bytes of what is sent.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const size = (name) => gzipSync(readFileSync(new URL(name, dist)), { level: 9 }).length;
const html = readFileSync(new URL('index.html', dist), 'utf8');
const assets = readdirSync(new URL('assets/', dist)).filter((n) => !n.endsWith('.gz'));
const sum = (names) => names.reduce((n, name) => n + size(`assets/${name}`), 0);
const js = assets.filter((n) => n.endsWith('.js'));
const rows = [
  ['JS to first view', sum(js.filter((n) => html.includes(n))), 40_000],
  ['all JS', sum(js), 75_000],
  ['all CSS', sum(assets.filter((n) => n.endsWith('.css'))), 10_000],
];
for (const [what, bytes, limit] of rows) console.log(`${what.padEnd(18)} ${(bytes / 1000).toFixed(1).padStart(6)} kB of ${limit / 1000}${bytes > limit ? '  TOO BIG' : ''}`);
if (/<style|style=|<script(?![^>]* src=)|javascript:/.test(html)) { console.error('index.html holds inline script or style'); process.exit(1); }
if (rows.some(([, bytes, limit]) => bytes > limit)) process.exit(1);
