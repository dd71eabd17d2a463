// What only a server that can be made to misbehave shows: broken streams, ended sessions, edits by somebody else. Against the
// mock of web/mock, which this test starts; the same page is tested against the real binary in page.test.mjs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { open } from './browser.mjs';

const root = new URL('../../', import.meta.url).pathname;
const skip = existsSync(`${root}web/dist/index.html`) ? false : 'web/dist is not built';

describe('the page when things go wrong', { skip, concurrency: false }, () => {
  let mock;
  let url;
  let it;
  let context;
  const streams = async () => (await (await fetch(`${url}/mock/streams`)).json()).all;
  const until = async (what, right) => {
    const end = Date.now() + 60_000;
    for (;;) {
      const value = await what();
      if (right(value)) return value;
      assert.ok(Date.now() < end, `still ${JSON.stringify(value)}`);
      await new Promise((r) => { setImmediate(r); });
    }
  };

  before(async () => {
    mock = spawn('node', [`${root}web/mock/server.mjs`, '--port', '0', '--quiet', '--runs', '600'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const link = await new Promise((resolve) => { mock.stdout.once('data', (d) => resolve(/http:\S+/.exec(String(d))[0])); });
    url = new URL(link).origin;
    it = await open(url, link);
    context = await it.context();
  });
  after(async () => {
    await it?.browser.close();
    if (mock) await new Promise((done) => { mock.on('exit', done); mock.kill('SIGTERM'); });
  });
  const show = async (path, sign) => {
    const tab = await context.newPage();
    await tab.goto(url + path);
    await tab.locator(sign).first().waitFor();
    return tab;
  };

  test('four tabs share one stream; when its tab closes, another takes over and all hear on', async () => {
    const tabs = [];
    for (let i = 0; i < 4; i += 1) {
      tabs.push(await show('/etl', 'tr[data-pipeline]'));
      await tabs[i].locator('.live.live').waitFor();
    }
    assert.equal(await streams(), 1);
    await tabs[0].close();
    await until(streams, (n) => n === 1);
    for (const t of tabs.slice(1)) await t.locator('.live.live').waitFor();
    await fetch(`${url}/mock/fail?name=ch.routes`);
    for (const t of tabs.slice(1)) await t.locator('tr[data-pipeline="ch.routes"] .status.bad').waitFor();
    await Promise.all(tabs.slice(1).map((t) => t.close()));
  });

  test('a cut stream is told, and nothing that happened meanwhile is lost', async () => {
    const tab = await show('/etl', 'tr[data-pipeline]');
    await tab.locator('.live.live').waitFor();
    it.expected.push(/ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE|net::/);
    await fetch(`${url}/mock/drop`);
    await fetch(`${url}/mock/fail?name=bq.reference`);
    await tab.locator('.live.reconnecting').waitFor();
    await tab.locator('tr[data-pipeline="bq.reference"] .status.bad').waitFor();
    await tab.locator('.live.live').waitFor();
    await tab.close();
  });

  test('rows keep their places under the pointer; a pill applies the changes', async () => {
    const tab = await show('/etl', 'tr[data-pipeline]');
    await tab.locator('.live.live').waitFor();
    const names = () => tab.locator('tr[data-pipeline]').evaluateAll((rows) => rows.map((r) => r.dataset.pipeline));
    await tab.hover('tr[data-pipeline="ch.search_funnel"]');
    const before = await names();
    await fetch(`${url}/mock/fail?name=ch.search_funnel`);
    await tab.locator('tr[data-pipeline="ch.search_funnel"] .status.bad').waitFor();
    assert.deepEqual(await names(), before);
    await tab.getByRole('button', { name: '1 change ↑' }).click();
    assert.ok((await names()).indexOf('ch.search_funnel') < before.indexOf('ch.search_funnel'));
    await tab.close();
  });

  test('an edit that met another one offers both', async () => {
    const tab = await show('/etl/p/ch.daily_margin', 'td.id a');
    await tab.getByRole('button', { name: 'Edit…' }).click();
    await tab.getByLabel(/^Cron/).fill('*/10 * * * *');
    await tab.locator('.meaning strong', { hasText: 'every 10 minutes' }).waitFor();
    it.expected.push(/412/);
    await fetch(`${url}/mock/touch?name=ch.daily_margin`);
    await tab.getByRole('button', { name: 'Save' }).click();
    await tab.getByText(/bob changed this .* to 0 \* \* \* \*/).waitFor();
    await tab.getByRole('button', { name: 'Keep mine' }).click();
    await tab.getByRole('dialog').waitFor({ state: 'detached' });
    await tab.locator('.plan', { hasText: '*/10 * * * *' }).waitFor();
    await tab.close();
  });

  test('an invalid expression says what is wrong and cannot be saved', async () => {
    const tab = await show('/etl/p/ch.daily_margin', 'td.id a');
    await tab.getByRole('button', { name: 'Edit…' }).click();
    it.expected.push(/422/);
    await tab.getByLabel(/^Cron/).fill('* * *');
    await tab.getByText('3 fields, 5 are needed.').waitFor();
    assert.ok(await tab.getByRole('button', { name: 'Save' }).isDisabled());
    await tab.close();
  });

  test('cancel: a running run stops and says so', async () => {
    const tab = await show('/etl/p/bq.audience_overlap', 'td.id a');
    await tab.getByRole('button', { name: 'Run now' }).click();
    await tab.locator('.toast a').click();
    await tab.locator('main .head .status', { hasText: 'running' }).waitFor();
    await tab.keyboard.press('c');
    await tab.getByRole('button', { name: 'Cancel the run' }).click();
    await tab.locator('main .head .status', { hasText: 'cancelled' }).waitFor();
    await tab.close();
  });

  test('50 000 lines: the first error, a search, a link to a line, and few nodes', async () => {
    const { items } = await (await context.request.get(`${url}/api/etl/runs?state=failed&pipeline=bq.projects&limit=1`)).json();
    const tab = await show(`/etl/runs/${items[0].id}#L40000`, '.logs .line.chosen');
    assert.match(await tab.locator('.logs .line.chosen').getAttribute('class'), /line/);
    assert.equal(await tab.locator('.logs .line.chosen .seq').getAttribute('data-n'), '40000');
    await tab.getByRole('button', { name: 'First error' }).click();
    await tab.locator('.logs .line.error .seq[data-n="184"]').waitFor();
    await tab.getByLabel('Search the log').fill('is not a time');
    await tab.getByLabel('Search the log').press('Enter');
    await tab.getByText(/^1 of \d/).waitFor();
    await tab.locator('.logs mark').first().waitFor();
    assert.ok(await tab.evaluate(() => document.querySelectorAll('*').length) < 1500);
    await tab.close();
  });

  test('an ended session keeps the page, asks, and repeats what was refused', async () => {
    const tab = await show('/etl/p/bq.fx_rates', 'td.id a');
    it.expected.push(/401/);
    await fetch(`${url}/mock/logout`);
    await tab.getByRole('button', { name: 'Run now' }).click();
    await tab.getByRole('dialog', { name: 'Your session has ended' }).waitFor();
    const other = await context.newPage();
    await other.goto(`${url}/login?t=mock-token-0123456789`);
    await other.waitForURL((u) => u.pathname === '/etl');
    await other.close();
    await tab.getByRole('button', { name: 'Continue' }).click({ timeout: 5_000 }).catch(() => undefined); // the focus may have done it
    await tab.locator('.toast', { hasText: 'is queued' }).waitFor();
    await tab.close();
  });

  test('nothing else went wrong on the way', () => assert.deepEqual(it.faults, []));
});
