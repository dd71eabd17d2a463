// Pictures of the page for the documentation.
//   node scripts/screenshots.mjs URL LOGIN_LINK [FOLDER] [all]
// FOLDER is docs/images by default; "all" also takes the other pages. The run shown is the newest failed one, else the newest.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { chromium } from 'playwright-core';

const [url, link, folder = new URL('../../docs/images', import.meta.url).pathname, more] = process.argv.slice(2);
if (!url || !link) {
  console.error('usage: screenshots.mjs URL LOGIN_LINK [FOLDER] [all]');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const first = await browser.newContext();
const page = await first.newPage();
await page.goto(link);
await page.waitForURL(/\/etl/);
const state = await first.storageState();
const ask = async (path) => (await (await first.request.get(new URL(path, url).href)).json()).items;
const run = (await ask('/api/etl/runs?state=failed&limit=1'))[0] ?? (await ask('/api/etl/runs?limit=1'))[0];
const pipeline = (await ask('/api/etl/pipelines'))[0];
const shots = [['overview', '/etl'], ...(run ? [['run', `/etl/runs/${run.id}`]] : [])];
if (more) shots.push(['runs', '/etl/runs'], ...(pipeline ? [['pipeline', `/etl/p/${encodeURIComponent(run?.pipeline ?? pipeline.name)}`]] : []), ['credentials', '/credentials']);
for (const [size, viewport] of [['', { width: 1280, height: 900 }], ['-390', { width: 390, height: 844 }]]) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ storageState: state, viewport, colorScheme, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'Europe/Kyiv' });
    const tab = await context.newPage();
    for (const [name, path] of shots) {
      await tab.goto(new URL(path, url).href);
      await tab.waitForSelector('main table, main .numbers', { timeout: 15_000 });
      await tab.waitForTimeout(700); // fonts and the chart; a picture, not a test
      await tab.screenshot({ path: resolve(folder, `${name}-${colorScheme}${size}.png`), fullPage: name === 'run' });
    }
    await context.close();
  }
}
await browser.close();
console.log(`pictures in ${folder}`);
