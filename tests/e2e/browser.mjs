// What the browser tests share: Chromium, the login, axe, and a record of everything that must not happen on the page.
// The npm packages are those of web/.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../web/package.json', import.meta.url));

/** Opens Chromium and logs in with the link, which works once. */
export async function open(url, link) {
  const { chromium } = require('playwright-core');
  const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  const origin = new URL(url).origin;
  const faults = []; // console errors (CSP among them), exceptions, requests to other origins
  const expected = []; // patterns of console errors that a test provokes

  const watch = (context, patience = 60_000) => {
    context.setDefaultTimeout(patience); // a busy machine is no failure
    context.setDefaultNavigationTimeout(patience);
    context.on('console', (m) => {
      if (m.type() === 'error' && !expected.some((e) => e.test(m.text()))) faults.push(`console: ${m.text()} (${m.location().url})`);
    });
    context.on('weberror', (e) => faults.push(`exception: ${e.error().stack}`));
    context.on('request', (r) => { if (new URL(r.url()).origin !== origin) faults.push(`request to ${r.url()}`); });
    return context;
  };

  const first = watch(await browser.newContext());
  const page = await first.newPage();
  await page.goto(link);
  await page.waitForURL((u) => u.pathname === '/etl', { timeout: 20_000 });
  const address = page.url();
  const storageState = await first.storageState();
  await first.close();

  return {
    browser, faults, expected, address,
    async context(options = {}) {
      return watch(await browser.newContext({ storageState, viewport: { width: 1280, height: 900 }, locale: 'en-GB', timezoneId: 'Europe/Kyiv', ...options }));
    },
    /** Violations of axe as short lines. Evaluated from outside, so that the page's own policy stays in force. */
    async axe(tab) {
      await tab.evaluate(axeSource);
      const result = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
      return result.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')} ${n.any[0]?.message ?? n.all[0]?.message ?? v.help}`));
    },
  };
}

export const sizes = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];
export const schemes = ['light', 'dark'];
