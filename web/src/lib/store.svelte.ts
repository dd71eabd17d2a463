// What the page knows: pipelines by name and runs by id. Snapshots and events both go through here.
import { SvelteMap } from 'svelte/reactivity';
import { ask, client } from './api';
import { compareIds, mergeProgress, mergeRun, pipelineWithRun } from './merge';
import type { Me, Overview, Pipeline, Run, StreamEvent } from './types';

interface Stamped { id: string; event: StreamEvent }
type Listener = (event: StreamEvent) => void;

class Store {
  pipelines = new SvelteMap<string, Pipeline>();
  runs = new SvelteMap<string, Run>();
  overview = $state<Overview | null>(null);
  me = $state<Me | null>(null);
  loaded = $state(false);
  /** When something last came from the server. */
  freshAt = $state(0);
  /** The newest event id seen, to resume from. */
  lastEventId = '';

  #past: Stamped[] = [];
  #listeners = new Set<Listener>();
  #again = new Set<string>();

  /** Hears every event after it was applied. Returns the way out. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  event(id: string, event: StreamEvent): void {
    this.freshAt = Date.now();
    if (id) {
      if (this.lastEventId && compareIds(id, this.lastEventId) <= 0) return;
      this.lastEventId = id;
      this.#past.push({ id, event });
      if (this.#past.length > 1000) this.#past.splice(0, 500);
    }
    this.#apply(event);
    for (const l of this.#listeners) l(event);
  }

  #apply(event: StreamEvent): void {
    switch (event.event) {
      case 'run.created':
      case 'run.state':
        this.putRun(event.data.run);
        break;
      case 'run.progress': {
        const run = this.runs.get(event.data.id);
        if (run) this.runs.set(run.id, mergeProgress(run, event.data));
        const p = this.pipelines.get(event.data.pipeline);
        if (p?.lastRun?.id === event.data.id) this.pipelines.set(p.name, { ...p, lastRun: mergeProgress(p.lastRun, event.data) });
        break;
      }
      case 'pipeline.changed':
        void this.loadPipeline(event.data.name);
        break;
      default:
    }
  }

  putRun(run: Run): void {
    const old = this.runs.get(run.id);
    const merged = old ? mergeRun(old, run) : run;
    this.runs.set(run.id, merged);
    const p = this.pipelines.get(run.pipeline);
    if (p) this.pipelines.set(p.name, pipelineWithRun(p, merged));
    if (this.runs.size > 4000) for (const id of [...this.runs.keys()].slice(0, 1000)) this.runs.delete(id);
  }

  /** A snapshot was taken at `lastEventId`: what came after it is applied again on top. */
  #replay(lastEventId: string): void {
    if (!this.lastEventId) this.lastEventId = lastEventId;
    for (const { id, event } of this.#past) {
      if (compareIds(id, lastEventId) > 0 && event.event !== 'pipeline.changed') this.#apply(event);
    }
    this.freshAt = Date.now();
  }

  async loadOverview(): Promise<void> {
    const [list, counts] = await Promise.all([ask(client.GET('/api/etl/pipelines')), ask(client.GET('/api/etl/overview'))]);
    const names = new Set(list.items.map((p) => p.name));
    for (const name of [...this.pipelines.keys()]) if (!names.has(name)) this.pipelines.delete(name);
    for (const p of list.items) {
      this.pipelines.set(p.name, { ...p, definition: this.pipelines.get(p.name)?.definition });
      if (p.lastRun) this.runs.set(p.lastRun.id, p.lastRun);
    }
    this.overview = counts;
    this.loaded = true;
    this.#replay(list.lastEventId);
  }

  async loadPipeline(name: string): Promise<void> {
    if (this.#again.has(name)) return;
    this.#again.add(name);
    try {
      this.pipelines.set(name, await ask(client.GET('/api/etl/pipelines/{name}', { params: { path: { name } } })));
    } catch {
      // The next snapshot brings it.
    } finally {
      this.#again.delete(name);
    }
  }

  snapshotRuns(runs: Run[], lastEventId: string): void {
    for (const r of runs) this.runs.set(r.id, r);
    this.#replay(lastEventId);
  }
}

export const store = new Store();
