// The address bar as state. Links are plain <a href>; clicks on our own paths are taken over here.
import { parseRoute, withQuery, type Route } from './url';

class Nav {
  path = $state(location.pathname);
  search = $state(location.search);
  hash = $state(location.hash);
  route: Route = $derived(parseRoute(this.path));
  query = $derived(new URLSearchParams(this.search));

  constructor() {
    addEventListener('popstate', () => this.#read());
    addEventListener('hashchange', () => this.#read());
    document.addEventListener('click', (e) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      const a = e.target instanceof Element ? e.target.closest('a') : null;
      if (!a || a.target || a.hasAttribute('download') || a.origin !== location.origin || a.pathname.startsWith('/api/')) return;
      e.preventDefault();
      this.go(a.pathname + a.search + a.hash);
    });
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
    this.hash = location.hash;
  }

  go(to: string): void {
    const samePage = to.split(/[?#]/)[0] === this.path;
    history.pushState(null, '', to);
    this.#read();
    if (!samePage) scrollTo(0, 0);
  }

  replace(to: string): void {
    history.replaceState(null, '', to);
    this.#read();
  }

  /** Changes filters: they belong to the address, but do not fill the history. */
  filter(changes: Record<string, string | string[] | null>): void {
    this.replace(this.path + withQuery(this.query, changes) + this.hash);
  }
}

export const nav = new Nav();
