// One event stream for all tabs of a browser: over HTTP/1.1 six streams would block the origin. The tab that gets the
// lock holds the stream and passes events on; when it closes, the next tab takes over where it stopped.
import { ask, ApiProblem, client } from './api';
import { store } from './store.svelte';
import type { StreamEvent } from './types';

export type LiveState = 'connecting' | 'live' | 'reconnecting' | 'offline';
const names: StreamEvent['event'][] = ['run.created', 'run.state', 'run.step', 'run.progress', 'pipeline.changed', 'reset', 'ping', 'bye'];
const silenceMs = 45_000; // three pings
const pollAfterMs = 30_000;
const pollEveryMs = 10_000;

type Message = { kind: 'event'; id: string; event: StreamEvent } | { kind: 'state'; state: LiveState } | { kind: 'hello' };

class Live {
  state = $state<LiveState>('connecting');
  leader = false;
  #channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('headrace-events') : null;
  #source: EventSource | null = null;
  #heardAt = Date.now();
  #downSince = 0;
  #polledAt = 0;
  #delay = 1000;
  #reconnect: ReturnType<typeof setTimeout> | undefined;
  #refresh = new Set<() => void>();
  #started = false;

  /** Called when events were lost or cannot come: read the snapshots again. Returns the way out. */
  onRefresh(f: () => void): () => void {
    this.#refresh.add(f);
    return () => this.#refresh.delete(f);
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#channel?.addEventListener('message', (e: MessageEvent<Message>) => this.#hear(e.data));
    this.#tell({ kind: 'hello' });
    if (navigator.locks && this.#channel) {
      void navigator.locks.request('headrace-events', () => new Promise<void>((release) => {
        this.leader = true;
        this.#connect();
        addEventListener('pagehide', () => {
          this.#close();
          this.leader = false;
          release();
        });
      }));
      // A page that comes back from the back/forward cache has let go of the lock.
      addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
    } else {
      this.leader = true; // no locks outside of secure contexts: each tab has its own stream
      this.#connect();
    }
    setInterval(() => this.#watch(), 1000);
  }

  refresh(): void {
    for (const f of this.#refresh) f();
  }

  #tell(m: Message): void {
    this.#channel?.postMessage(m);
  }

  #hear(m: Message): void {
    if (m.kind === 'hello') {
      if (this.leader) this.#tell({ kind: 'state', state: this.state });
      return;
    }
    this.#heardAt = Date.now();
    if (m.kind === 'state') this.#set(m.state);
    else this.#take(m.id, m.event);
  }

  #set(state: LiveState): void {
    this.state = state;
    if (state === 'live') this.#downSince = 0;
    else this.#downSince ||= Date.now();
    if (this.leader) this.#tell({ kind: 'state', state });
  }

  #take(id: string, event: StreamEvent): void {
    this.#heardAt = Date.now();
    if (this.state !== 'live' && !this.leader) this.#set('live');
    store.event(id, event);
    if (event.event === 'reset') this.refresh();
  }

  #connect(): void {
    this.#close();
    const from = store.lastEventId;
    const source = new EventSource(`/api/etl/events${from ? `?lastEventId=${encodeURIComponent(from)}` : ''}`);
    this.#source = source;
    this.#heardAt = Date.now();
    source.onopen = () => {
      this.#delay = 1000;
      this.#set('live');
    };
    source.onerror = () => {
      this.#set('reconnecting');
      if (source.readyState === EventSource.CLOSED) void this.#later();
    };
    for (const name of names) {
      source.addEventListener(name, (e: MessageEvent<string>) => {
        if (!e.data) return;
        const event = { event: name, data: JSON.parse(e.data) as unknown } as StreamEvent;
        this.#take(e.lastEventId, event);
        this.#tell({ kind: 'event', id: e.lastEventId, event });
        if (name === 'bye') {
          this.#set('reconnecting');
          void this.#later();
        }
      });
    }
  }

  /** The server refused the stream: perhaps the session ended. Ask, then try again, ever more slowly. */
  async #later(): Promise<void> {
    this.#close();
    clearTimeout(this.#reconnect);
    const wait = this.#delay;
    this.#delay = Math.min(30_000, wait * 2);
    try {
      await ask(client.GET('/api/etl/overview')); // a 401 opens the sign-in dialog and waits for it
    } catch (e) {
      this.#set(e instanceof ApiProblem && e.status === 0 ? 'offline' : 'reconnecting');
    }
    this.#reconnect = setTimeout(() => { if (this.leader) this.#connect(); }, wait);
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
  }

  #watch(): void {
    const now = Date.now();
    if (now - this.#heardAt > silenceMs) {
      this.#heardAt = now;
      this.#set('reconnecting');
      if (this.leader) this.#connect();
    }
    if (this.#downSince && now - this.#downSince > pollAfterMs && now - this.#polledAt > pollEveryMs && !document.hidden) {
      this.#polledAt = now;
      this.refresh();
    }
  }
}

export const live = new Live();
