// Keyboard. A page registers its keys while it is shown; single letters rest inside inputs and dialogs, and can be
// switched off altogether (WCAG 2.1.4).
import { untrack } from 'svelte';

export interface Key { key: string; text: string; run: () => void }

class Keys {
  enabled = $state(localStorage.getItem('headrace.keys') !== 'off');
  sheet = $state(false);
  active = $state.raw<Key[]>([]);
  #first = '';
  #firstAt = 0;

  constructor() {
    addEventListener('keydown', (e) => this.#down(e));
  }

  setEnabled(on: boolean): void {
    this.enabled = on;
    localStorage.setItem('headrace.keys', on ? 'on' : 'off');
  }

  /** For `$effect(() => keys.use([...]))`: active until the effect ends. */
  use(list: Key[]): () => void {
    untrack(() => { this.active = [...this.active, ...list]; });
    return () => untrack(() => { this.active = this.active.filter((k) => !list.includes(k)); });
  }

  #down(e: KeyboardEvent): void {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || !this.enabled) return;
    const t = e.target instanceof HTMLElement ? e.target : null;
    if (t?.closest('input, textarea, select, [contenteditable], dialog[open]')) {
      if (e.key === 'Escape' && t.matches('input[type=search]')) t.blur();
      return;
    }
    if (document.querySelector('dialog[open]')) return;
    const two = e.timeStamp - this.#firstAt < 1200 ? `${this.#first} ${e.key}` : '';
    this.#first = e.key;
    this.#firstAt = e.timeStamp;
    const hit = this.active.findLast((k) => k.key === two) ?? this.active.findLast((k) => k.key === e.key);
    if (!hit) return;
    // Enter on a link or button is the browser's.
    if (e.key === 'Enter' && t?.closest('a, button, summary')) return;
    e.preventDefault();
    hit.run();
  }
}

export const keys = new Keys();
