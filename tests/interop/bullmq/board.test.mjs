// Bull Board on our jobs: through its HTTP API, and its page in Chromium.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { cppAdd, CppWorker, Queue, RedisServer, until } from './support.mjs';

const require = createRequire(import.meta.url);
const { createBullBoard } = require('@bull-board/api');
const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
const { ExpressAdapter } = require('@bull-board/express');
const { chromium } = createRequire(new URL('../../../web/package.json', import.meta.url))('playwright-core');

let server;
before(async () => { server = await RedisServer.start(); });
after(() => server.stop());

let counter = 0;
async function withBoard(body) {
  const name = `b${++counter}`;
  const queue = new Queue(name, { connection: server.connection });
  const adapter = new ExpressAdapter();
  adapter.setBasePath('/board');
  createBullBoard({ queues: [new BullMQAdapter(queue)], serverAdapter: adapter });
  const app = require('express')();
  app.use('/board', adapter.getRouter());
  const http = app.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const call = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${http.address().port}/board/api${path}`, { method, headers: { 'content-type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json().catch(() => null);
  };
  try {
    await body(queue, name, call, `http://127.0.0.1:${http.address().port}/board`);
  } finally {
    CppWorker.killLeftOvers();
    http.closeAllConnections();
    http.close();
    await queue.close();
  }
}

test('Bull Board lists, retries, promotes, pauses, resumes, removes and obliterates our jobs, through its HTTP API', () => withBoard(async (queue, name, call) => {
  const listed = async status => (await call('GET', `/queues?activeQueue=${name}&status=${status}&page=1&jobsPerPage=10`)).queues.find(q => q.name === name);
  const failing = new CppWorker(server, name, '--fail-first', '1', '--name', 'ours', '--progress');
  await failing.ready();
  const [failed] = await cppAdd(server, name, '--name', 'fails', '--data', '{"n":1}');
  await until('it failed', async () => await queue.getJobState(failed) === 'failed');
  const [delayed] = await cppAdd(server, name, '--name', 'later', '--delay', '600000');

  let view = await listed('failed');
  assert.equal(view.counts.failed, 1);
  assert.equal(view.counts.delayed, 1);
  assert.equal(view.jobs[0].id, failed);
  assert.deepEqual(view.jobs[0].data, { n: 1 });
  assert.match(view.jobs[0].failedReason, /attempt 1 fails/);
  assert.equal(view.jobs[0].progress, 50);
  assert.deepEqual(await call('GET', `/queues/${name}/${failed}/logs`), ['half of fails']);
  assert.match(JSON.stringify(await call('GET', `/queues/${name}/workers`)), /ours/);

  await call('PUT', `/queues/${name}/${failed}/retry`);
  await until('it is done now', async () => await queue.getJobState(failed) === 'completed');
  await call('PUT', `/queues/${name}/pause`);
  await call('PUT', `/queues/${name}/${delayed}/promote`);
  assert.equal((await listed('waiting')).isPaused, true);
  assert.equal(await queue.getJobState(delayed), 'waiting');
  await call('PUT', `/queues/${name}/resume`);
  await until('the promoted one ran', async () => await queue.getJobState(delayed) === 'failed');
  await call('PUT', `/queues/${name}/retry/failed`);
  await until('all are done', async () => (await listed('completed')).counts.completed === 2);

  const [third] = await cppAdd(server, name, '--delay', '600000');
  await call('PUT', `/queues/${name}/${third}/clean`);
  assert.equal(await queue.getJob(third), undefined);
  assert.equal(await failing.stop(), 0);
  await call('PUT', `/queues/${name}/pause`);
  await call('PUT', `/queues/${name}/obliterate`, {});
  assert.equal((await listed('completed')).counts.completed, 0);
}));

// --- its page
async function withPage(address, body) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000); // a busy machine is no failure
    const faults = [];
    page.on('pageerror', error => faults.push(error.stack));
    await page.goto(address);
    await body(page);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}

// The buttons of a job are icons; what each is for stands in its tooltip.
async function pressIcon(page, label) {
  for (const button of await page.locator('main button').all()) {
    if (await button.textContent()) continue;
    await button.hover();
    if (await page.getByText(label, { exact: true }).waitFor({ timeout: 2000 }).then(() => true, () => false)) {
      await button.click();
      await page.getByRole('button', { name: 'Confirm' }).click();
      return;
    }
  }
  assert.fail(`no button "${label}"`);
}

const choose = async (page, entry) => {
  await page.locator('main button').first().click();
  await page.getByRole('menuitem', { name: entry, exact: true }).click();
  await page.getByRole('button', { name: 'Confirm' }).click();
};

test('Bull Board in Chromium lists, retries, pauses, promotes and resumes our jobs by clicks', () => withBoard(async (queue, name, call, address) => {
  const worker = new CppWorker(server, name, '--fail-first', '1', '--name', 'ours', '--progress');
  const [failed] = await cppAdd(server, name, '--name', 'fails', '--data', '{"n":1}');
  await until('it failed', async () => await queue.getJobState(failed) === 'failed');
  const [delayed] = await cppAdd(server, name, '--name', 'later', '--delay', '600000');
  await withPage(address, async page => {
    await page.getByRole('link', { name, exact: true }).first().click();
    await page.getByRole('link', { name: /^failed/i }).click();
    for (const text of ['fails', 'attempt 1 fails', 'by ours', '50%']) await page.getByText(text, { exact: true }).first().waitFor();
    await page.getByText('Logs', { exact: true }).click();
    await page.getByText('half of fails').waitFor();
    await pressIcon(page, 'Retry');
    await until('it was retried', async () => await queue.getJobState(failed) === 'completed');
    await page.getByRole('link', { name: /^completed/i }).click();
    await page.getByText('fails', { exact: true }).first().waitFor();

    await choose(page, 'Pause');
    await until('the queue is paused', () => queue.isPaused());
    await page.getByRole('link', { name: /^delayed/i }).click();
    await page.getByText('later', { exact: true }).first().waitFor();
    await pressIcon(page, 'Promote');
    await until('it was promoted', async () => await queue.getJobState(delayed) === 'waiting');
    assert.equal((await queue.getJob(delayed)).attemptsStarted, 0);
    await choose(page, 'Resume');
    await until('it ran', async () => await queue.getJobState(delayed) === 'failed');
  });
  assert.equal(await worker.stop(), 0);
}));
