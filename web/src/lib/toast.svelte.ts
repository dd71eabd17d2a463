// Short notes at the bottom: what an action did, or the problem it met.
import { problemOf } from './api';

export interface Toast { id: number; text: string; hint?: string; href?: string; link?: string; bad: boolean }

class Toasts {
  items = $state<Toast[]>([]);
  #next = 1;

  show(text: string, more: Partial<Toast> = {}): void {
    const id = this.#next;
    this.#next += 1;
    this.items = [...this.items.slice(-2), { id, text, bad: false, ...more }];
    setTimeout(() => this.drop(id), more.bad || more.href ? 20_000 : 8_000);
  }

  problem(e: unknown): void {
    const p = problemOf(e);
    this.show(p.title, { hint: [p.detail, p.hint].filter(Boolean).join(' '), bad: true, ...(p.runId ? { href: `/etl/runs/${p.runId}`, link: 'Open it' } : {}) });
  }

  drop(id: number): void {
    this.items = this.items.filter((t) => t.id !== id);
  }
}

export const toasts = new Toasts();
