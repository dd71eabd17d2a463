// What a person can do to pipelines and runs.
import { ApiProblem, ask, askFull, client, newKey } from './api';
import { shortId } from './format';
import { store } from './store.svelte';
import { toasts } from './toast.svelte';
import type { Pipeline, Run } from './types';
import { runPath } from './url';

export interface TriggerOptions { reason?: string; force?: boolean }

class Actions {
  /** What is on its way, e.g. "run ch.top_dests". */
  busy = $state<Record<string, boolean>>({});
  // The key is made when the button is pressed and kept until the server has answered: a second press, or a press
  // after a broken connection, is the same request.
  #keys = new Map<string, string>();

  async #once<T>(what: string, send: (key: string) => Promise<T>): Promise<T | null> {
    if (this.busy[what]) return null;
    this.busy[what] = true;
    const key = this.#keys.get(what) ?? newKey();
    this.#keys.set(what, key);
    try {
      const answer = await send(key);
      this.#keys.delete(what);
      return answer;
    } catch (e) {
      if (!(e instanceof ApiProblem) || e.status !== 0) this.#keys.delete(what);
      throw e;
    } finally {
      delete this.busy[what];
    }
  }

  async runNow(name: string, options: TriggerOptions = {}): Promise<Run | null> {
    const run = await this.#once(`run ${name} ${JSON.stringify(options)}`, (key) => ask(client.POST('/api/etl/pipelines/{name}/runs', {
      params: { path: { name }, header: { 'Idempotency-Key': key } }, body: clean(options),
    })));
    if (run) {
      store.putRun(run);
      toasts.show(`${name}: run ${shortId(run.id)} is queued.`, { href: runPath(run.id), link: 'Open it' });
    }
    return run;
  }

  async retry(id: string, options: TriggerOptions): Promise<Run | null> {
    const run = await this.#once(`retry ${id} ${JSON.stringify(options)}`, (key) => ask(client.POST('/api/etl/runs/{id}/retry', {
      params: { path: { id }, header: { 'Idempotency-Key': key } }, body: clean(options),
    })));
    if (run) store.putRun(run);
    return run;
  }

  async cancel(id: string): Promise<void> {
    const run = await ask(client.POST('/api/etl/runs/{id}/cancel', { params: { path: { id } } }));
    store.putRun(run);
  }

  async patch(name: string, etag: string, body: { paused?: boolean; reason?: string; schedule?: { cron: string; timezone: string } | null }): Promise<Pipeline> {
    const { data } = await askFull(client.PATCH('/api/etl/pipelines/{name}', {
      params: { path: { name }, header: { 'If-Match': etag } }, body,
      headers: { 'Content-Type': 'application/merge-patch+json' },
    }));
    store.pipelines.set(name, data);
    return data;
  }
}

const clean = (o: TriggerOptions): { reason?: string; force: boolean } => ({ ...(o.reason ? { reason: o.reason } : {}), force: o.force ?? false });

/** The entity tag of a pipeline follows from its version. */
export const etagOf = (p: Pick<Pipeline, 'version'>): string => `"${p.version}"`;

export const actions = new Actions();
