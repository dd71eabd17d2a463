// Addresses of the page, without a browser: which page a path names, and filters in the query.

export type Route =
  | { page: 'overview' }
  | { page: 'runs' }
  | { page: 'pipeline'; name: string }
  | { page: 'run'; id: string }
  | { page: 'credentials' }
  | { page: 'login' }
  | { page: 'unknown' };

export function parseRoute(path: string): Route {
  const parts = path.replace(/\/+$/, '').split('/').slice(1);
  const [a, b, c, more] = parts;
  if (more === undefined) {
    if (a === 'login' && b === undefined) return { page: 'login' };
    if (a === 'credentials' && b === undefined) return { page: 'credentials' };
    if ((a === 'etl' || a === '' || a === undefined) && b === undefined) return { page: 'overview' };
    if (a === 'etl' && b === 'runs') return c === undefined ? { page: 'runs' } : { page: 'run', id: decode(c) };
    if (a === 'etl' && b === 'p' && c) return { page: 'pipeline', name: decode(c) };
  }
  return { page: 'unknown' };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const runPath = (id: string): string => `/etl/runs/${encodeURIComponent(id)}`;
export const pipelinePath = (name: string): string => `/etl/p/${encodeURIComponent(name)}`;

/** A list in a query member: "failing,running"; members that are not allowed are dropped. */
export function readList<T extends string>(query: URLSearchParams, key: string, allowed: readonly T[]): T[] {
  const given = new Set((query.get(key) ?? '').split(','));
  return allowed.filter((x) => given.has(x));
}

/** The query with some members replaced; empty ones are removed, so that the plain page has the plain address. */
export function withQuery(query: URLSearchParams, changes: Record<string, string | string[] | null>): string {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) {
    const text = Array.isArray(value) ? value.join(',') : value ?? '';
    if (text) next.set(key, text); else next.delete(key);
  }
  const s = next.toString().replaceAll('%2C', ',');
  return s ? `?${s}` : '';
}

/** Where to go after the login: only a path of this page, never another site. */
export function safeNext(next: string | null): string {
  return next && /^\/(etl|credentials)([/?#]|$)/.test(next) && !/[\\\u0000-\u001f]/.test(next) ? next : '/etl';
}
