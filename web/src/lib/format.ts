// Numbers and times as text. Pure; `now` and zones come in as arguments.

const dash = '–';

/** 412016 → "412 k": three digits are enough to compare, the exact number is in the title. */
export function count(n: number | null | undefined): string {
  if (n === null || n === undefined) return dash;
  if (n < 1000) return String(n);
  for (const [unit, size] of [['k', 1e3], ['M', 1e6], ['G', 1e9]] as const) {
    const v = n / size;
    if (v < 999.5 || unit === 'G') return `${v < 9.95 ? trim(v.toFixed(1)) : Math.round(v)} ${unit}`;
  }
  return String(n);
}

export const exact = (n: number): string => n.toLocaleString('en-US');

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return dash;
  if (n < 1000) return `${n} B`;
  for (const [unit, size] of [['kB', 1e3], ['MB', 1e6], ['GB', 1e9], ['TB', 1e12]] as const) {
    const v = n / size;
    if (v < 999.5 || unit === 'TB') return `${v < 99.5 ? trim(v.toFixed(1)) : Math.round(v)} ${unit}`;
  }
  return `${n} B`;
}

const trim = (s: string): string => s.replace(/\.0$/, '');

/** 70123 → "1m 10s" */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return dash;
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = ms / 1000;
  if (s < 9.95) return `${trim(s.toFixed(1))}s`;
  const t = Math.round(s);
  if (t < 60) return `${t}s`;
  if (t < 3600) return `${Math.floor(t / 60)}m ${String(t % 60).padStart(2, '0')}s`;
  return `${Math.floor(t / 3600)}h ${String(Math.floor((t % 3600) / 60)).padStart(2, '0')}m`;
}

/** Size of a span in the largest sensible unit: "4 min", "25 h", "3 d". */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const m = Math.round(s / 60);
  if (m < 90) return `${m} min`;
  const h = Math.round(s / 3600);
  if (h < 36) return `${h} h`;
  return `${Math.round(s / 86_400)} d`;
}

export function ago(iso: string | null | undefined, now: number): string {
  if (!iso) return dash;
  const d = now - Date.parse(iso);
  return d < 5000 ? 'just now' : `${span(d)} ago`;
}

export function until(iso: string | null | undefined, now: number): string {
  if (!iso) return dash;
  const d = Date.parse(iso) - now;
  if (d < -60_000) return `due ${span(-d)} ago`;
  return d < 5000 ? 'now' : `in ${span(d)}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function format(key: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let f = formats.get(key);
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat('en-GB', options)));
  return f;
}

export const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** "Sat 21 Nov 20:15" in the zone, or in the reader's. */
export function clock(iso: string | null | undefined, zone?: string): string {
  if (!iso) return dash;
  try {
    return format(`c${zone ?? ''}`, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZone: zone })
      .format(new Date(iso)).replace(/,/g, '');
  } catch {
    return iso;
  }
}

/** "20:15" */
export function time(iso: string, zone?: string): string {
  try {
    return format(`t${zone ?? ''}`, { hour: '2-digit', minute: '2-digit', timeZone: zone }).format(new Date(iso));
  } catch {
    return iso;
  }
}

/** "20:15:04.120" in the reader's zone. */
export function stamp(iso: string): string {
  const d = new Date(iso);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`;
}

/** "21 Nov 2026, 20:15:04" for titles and reports. */
export const full = (iso: string | null | undefined): string =>
  iso ? format('f', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' }).format(new Date(iso)) : dash;

/** How far a zone is from the reader's at that time, in words; "" when they agree. */
export function zoneGap(zone: string, iso: string): string {
  const there = clock(iso, zone);
  const here = clock(iso);
  return there === here ? '' : `${here} for you`;
}

/** Ids are UUIDs whose beginning is the time; the end tells two of them apart. */
export const shortId = (id: string): string => id.slice(-6);

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** Splits a text at the matches of a needle, without regard to case: even parts are plain, odd ones matches. */
export function splitMatches(text: string, needle: string): string[] {
  if (!needle) return [text];
  const out: string[] = [];
  const low = text.toLowerCase();
  const n = needle.toLowerCase();
  let from = 0;
  for (let i = low.indexOf(n); i >= 0; i = low.indexOf(n, from)) {
    out.push(text.slice(from, i), text.slice(i, i + n.length));
    from = i + n.length;
  }
  out.push(text.slice(from));
  return out;
}
