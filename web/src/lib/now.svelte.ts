// The present second as state, for "4 min ago" and running durations. It stands still while the tab is hidden.
class Now {
  ms = $state(Date.now());

  constructor() {
    const tick = (): void => { if (!document.hidden) this.ms = Date.now(); };
    setInterval(tick, 1000);
    document.addEventListener('visibilitychange', tick);
  }
}

export const now = new Now();
