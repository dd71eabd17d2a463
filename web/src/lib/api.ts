// The typed client. Problems become exceptions; a 401 waits for a new session and then repeats the request.
import createClient from 'openapi-fetch';
import type { paths } from './schema';
import type { Pipeline, Problem } from './types';

export class ApiProblem extends Error {
  readonly problem: Problem;
  readonly status: number;
  readonly retryAfter: number | null;

  constructor(problem: Problem, retryAfter: number | null = null) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
    this.status = problem.status;
    this.retryAfter = retryAfter;
  }

  /** With 412: the pipeline as it is now. */
  get current(): Pipeline | undefined {
    return (this.problem as Problem & { current?: Pipeline }).current;
  }
}

/** Whatever an answer held, as a problem: ours, the body of a Fastify app, a proxy's HTML, or nothing. */
export function toProblem(status: number, body: unknown): Problem {
  const b = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const text = (key: string): string | undefined => (typeof b[key] === 'string' ? b[key] : undefined);
  if (text('code') && text('title')) return b as unknown as Problem;
  const gateway = status === 502 || status === 503 || status === 504;
  return {
    type: 'about:blank', status, code: 'unknown', requestId: text('requestId') ?? '',
    title: text('title') ?? text('error') ?? (gateway ? 'The server is not reachable.' : `The server answered ${status}.`),
    detail: text('message') ?? text('detail'),
    hint: gateway ? 'It is tried again by itself.' : undefined,
  };
}

export const offline: Problem = {
  type: 'about:blank', status: 0, code: 'offline', requestId: '',
  title: 'The server does not answer.', hint: 'Is `headrace api` running? It is tried again by itself.',
};

type Asker = () => Promise<void>;
let askForLogin: Asker | null = null;
/** `ask` shows the sign-in dialog and resolves when there is a session again. */
export function onUnauthenticated(ask: Asker): void {
  askForLogin = ask;
}

async function send(request: Request): Promise<Response> {
  const again = request.clone();
  const response = await fetch(request);
  if (response.status !== 401 || !askForLogin || new URL(request.url).pathname.startsWith('/api/auth/')) return response;
  await askForLogin();
  return send(again);
}

export const client = createClient<paths>({ baseUrl: location.origin, fetch: send, headers: { 'X-Headrace': '1' } });

interface Answer<T> { data?: T; error?: unknown; response: Response }

/** `await ask(client.GET(…))`: the body, or an ApiProblem. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  return (await askFull(call)).data;
}

export async function askFull<T>(call: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch {
    throw new ApiProblem(offline);
  }
  if (answer.response.ok) return { data: answer.data as T, response: answer.response };
  const wait = Number(answer.response.headers.get('retry-after'));
  throw new ApiProblem(toProblem(answer.response.status, answer.error), wait > 0 ? wait : null);
}

export const problemOf = (e: unknown): Problem =>
  e instanceof ApiProblem ? e.problem : { type: 'about:blank', status: 0, code: 'page', requestId: '', title: 'The page made a mistake.', detail: String(e) };

/** crypto.randomUUID exists only in secure contexts; a plain http address in an office is none. */
export function newKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40;
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  return [...b].map((x, i) => ([4, 6, 8, 10].includes(i) ? '-' : '') + x.toString(16).padStart(2, '0')).join('');
}
