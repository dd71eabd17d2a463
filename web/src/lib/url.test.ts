import { expect, test } from 'vitest';
import { parseRoute, pipelinePath, readList, safeNext, withQuery } from './url';

test.each([
  ['/etl', { page: 'overview' }], ['/', { page: 'overview' }], ['/etl/', { page: 'overview' }],
  ['/etl/runs', { page: 'runs' }], ['/etl/runs/8f3a', { page: 'run', id: '8f3a' }],
  ['/etl/p/ch.top_dests', { page: 'pipeline', name: 'ch.top_dests' }], ['/etl/p/a%2Fb', { page: 'pipeline', name: 'a/b' }],
  ['/etl/p/%E0', { page: 'pipeline', name: '%E0' }], ['/credentials', { page: 'credentials' }], ['/login', { page: 'login' }],
  ['/etl/p', { page: 'unknown' }], ['/etl/runs/a/b', { page: 'unknown' }], ['/admin', { page: 'unknown' }],
])('%s', (path, route) => expect(parseRoute(path)).toEqual(route));

test('names survive the address', () => expect(parseRoute(pipelinePath('a/b c%'))).toEqual({ page: 'pipeline', name: 'a/b c%' }));

test('filters: only allowed words, in a fixed order, and no empty members', () => {
  const q = new URLSearchParams('state=running,failed,nonsense&q=fx');
  expect(readList(q, 'state', ['failed', 'running'] as const)).toEqual(['failed', 'running']);
  expect(withQuery(q, { state: ['failed', 'queued'] })).toBe('?state=failed,queued&q=fx');
  expect(withQuery(q, { state: [], q: null })).toBe('');
});

test('after the login only to our own pages', () => {
  expect(safeNext('/etl/runs/8f3a?step=read#L4')).toBe('/etl/runs/8f3a?step=read#L4');
  for (const bad of ['//evil.example', 'https://evil.example', '/\\evil.example', '/etl\\..\\x', '/etlx', '/api/auth/logout', '', null]) expect(safeNext(bad)).toBe('/etl');
});
