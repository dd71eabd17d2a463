// The page in a real browser, against a real server:
//   HEADRACE_URL=http://127.0.0.1:3000 HEADRACE_LOGIN_LINK='http://127.0.0.1:3000/login?t=…' node --test tests/e2e/page.test.mjs
// HEADRACE_PIPELINE names the pipeline to run; without it, the first one that may run and was well last time.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { open, schemes, sizes } from './browser.mjs';

const url = process.env.HEADRACE_URL;
const link = process.env.HEADRACE_LOGIN_LINK;
const skip = url && link ? false : 'HEADRACE_URL and HEADRACE_LOGIN_LINK are not set';
const states = /failing|running|retrying|cancelling|late|paused|healthy|no runs yet/;

describe('the page', { skip, concurrency: false }, () => {
  let it;
  let context;
  let tab;
  let name;
  let runPath;
  const ask = async (path) => (await context.request.get(new URL(path, url).href)).json();

  before(async () => {
    it = await open(url, link);
    context = await it.context();
    tab = await context.newPage();
  });
  after(() => it?.browser.close());

  test('the login link leads to the overview and leaves no token behind', () => {
    assert.equal(it.address, new URL('/etl', url).href);
  });

  test('the overview shows every pipeline with its state in words', async () => {
    await tab.goto(new URL('/etl', url).href);
    await tab.waitForSelector('tr[data-pipeline]');
    const { items } = await ask('/api/etl/pipelines');
    const rows = await tab.locator('tr[data-pipeline]').all();
    assert.equal(rows.length, items.length);
    for (const row of rows) assert.match(await row.locator('.status').innerText(), states);
    await tab.locator('.live.live').waitFor({ timeout: 15_000 });
    const free = items.filter((p) => !p.paused && !['running', 'late'].includes(p.state) && (!p.lastRun || ['succeeded', 'failed', 'cancelled'].includes(p.lastRun.state)));
    name = process.env.HEADRACE_PIPELINE ?? (free.find((p) => p.state !== 'failing') ?? free[0])?.name;
    assert.ok(name, 'no pipeline is free to run');
  });

  test('filters live in the address and survive a reload', async () => {
    await tab.getByRole('searchbox').fill(name);
    await tab.waitForURL((u) => u.searchParams.get('q') === name);
    await tab.reload();
    await tab.waitForSelector('tr[data-pipeline]');
    assert.equal(await tab.getByRole('searchbox').inputValue(), name);
    await tab.getByRole('searchbox').fill('no such pipeline');
    await tab.getByRole('button', { name: 'Clear filters' }).click();
    await tab.waitForURL((u) => u.search === '');
  });

  test('one double click is one run, and it lives to its end before our eyes', async () => {
    const before = new Set((await ask(`/api/etl/runs?pipeline=${encodeURIComponent(name)}&limit=50`)).items.map((r) => r.id));
    await tab.getByRole('button', { name: `Run ${name} now` }).dblclick();
    const note = tab.locator('.toast a');
    await note.waitFor();
    runPath = await note.getAttribute('href');
    await note.click();
    await tab.waitForURL((u) => u.pathname === runPath);
    const head = tab.locator('main .head .status');
    await head.waitFor();
    const seen = new Set();
    const end = Date.now() + 180_000;
    for (;;) {
      const word = await head.innerText();
      seen.add(word);
      if (/succeeded|failed|cancelled|superseded|quarantined|skipped/.test(word)) break;
      assert.ok(Date.now() < end, `the run is still ${word}`);
      await tab.waitForFunction((w) => document.querySelector('main .head .status')?.textContent !== w, word, { timeout: 180_000, polling: 50 });
    }
    assert.ok(seen.has('succeeded'), `the run went ${[...seen].join(' → ')}`);
    assert.ok(seen.size > 1, 'the page only saw the end: it was not live');
    const made = (await ask(`/api/etl/runs?pipeline=${encodeURIComponent(name)}&limit=50`)).items.filter((r) => !before.has(r.id) && r.trigger.kind === 'manual');
    assert.equal(made.length, 1);
  });

  test('the run page agrees with the api, without a reload', async () => {
    const id = runPath.split('/').pop();
    const run = await ask(`/api/etl/runs/${id}`);
    const logs = await ask(`/api/etl/runs/${id}/logs?limit=1`);
    assert.equal(run.state, 'succeeded');
    for (const o of run.outputs) await tab.getByRole('cell', { name: o.key, exact: true }).first().waitFor();
    await tab.locator('.account', { hasText: `read ${run.rowsRead.toLocaleString('en-US')}` }).waitFor({ timeout: 10_000 });
    await tab.locator('.logs h2', { hasText: `${logs.lastSeq.toLocaleString('en-US')} line` }).waitFor({ timeout: 10_000 });
    const steps = new Set(run.steps.map((s) => s.step));
    assert.equal(await tab.locator('main li .track').count(), steps.size);
    const order = await tab.locator('main h2, main summary').allInnerTexts();
    assert.deepEqual(order.map((t) => t.split(/\s/)[0]), ['Timeline', 'Throughput', 'Log', 'Outputs', 'Definition', 'History']);
  });

  test('keys: the sheet, the lists, a chosen log line in the address', async () => {
    await tab.keyboard.press('?');
    await tab.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await tab.keyboard.press('Escape');
    await tab.locator('.logs .line').first().click();
    await tab.waitForURL((u) => u.hash === '#L1');
    await tab.keyboard.press('g');
    await tab.keyboard.press('r');
    await tab.waitForURL((u) => u.pathname === '/etl/runs');
    await tab.locator('td.id a').first().waitFor();
    await tab.keyboard.press('j');
    await tab.keyboard.press('Enter');
    await tab.waitForURL((u) => /^\/etl\/runs\/.+/.test(u.pathname));
  });

  test('a credential is tried step by step', async () => {
    await tab.goto(new URL('/credentials', url).href);
    await tab.getByRole('button', { name: 'Test clickhouse' }).click();
    const steps = tab.getByRole('status', { name: 'Test of clickhouse' }).getByRole('listitem');
    await steps.first().waitFor({ timeout: 60_000 });
    const texts = await steps.allInnerTexts();
    assert.ok(texts.length >= 4, texts.join(' | '));
    for (const text of texts) assert.match(text, /^good:/, texts.join(' | '));
    assert.deepEqual(await it.axe(tab), []);
  });

  for (const colorScheme of schemes) {
    for (const viewport of sizes) {
      test(`axe finds nothing: ${colorScheme}, ${viewport.width} px`, async () => {
        const own = await it.context({ colorScheme, viewport, reducedMotion: 'reduce' });
        const page = await own.newPage();
        // The whole tour once; the other three sizes and colours on the pages that people live in.
        const whole = colorScheme === 'light' && viewport.width === 1280;
        const places = [['/etl', 'tr[data-pipeline]'], ['/etl/runs', 'td.id a'], [`/etl/p/${encodeURIComponent(name)}`, 'td.id a'], [runPath, '.logs .line'], ['/credentials', 'main .card'],
          ...(whole ? [['/etl/runs/no-such-run', 'main .empty'], ['/etl?q=no-such-pipeline', 'main .empty'], ['/login', 'main .card']] : [])];
        for (const [path, sign] of places) {
          if (path.includes('no-such-run')) it.expected.push(/404/);
          await page.goto(new URL(path, url).href);
          await page.locator(sign).first().waitFor({ timeout: 60_000 });
          assert.deepEqual(await it.axe(page), [], `${path} ${colorScheme} ${viewport.width}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.equal(wide, 0, `${path} scrolls sideways at ${viewport.width} px`);
        }
        await page.goto(new URL(`/etl/p/${encodeURIComponent(name)}`, url).href);
        for (const [button, title] of [['Edit…', /Schedule/], ...(whole ? [['Pause…', /Pause/], ['Run with options…', /Run /]] : [])]) {
          await page.getByRole('button', { name: button }).click();
          await page.getByRole('dialog', { name: title }).waitFor();
          assert.deepEqual(await it.axe(page), [], `dialog ${button} ${colorScheme} ${viewport.width}`);
          await page.keyboard.press('Escape');
        }
        await own.close();
      });
    }
  }

  test('nothing came from elsewhere, and the policy was never broken', () => {
    assert.deepEqual(it.faults, []);
  });
});
