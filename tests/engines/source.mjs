// Our source, as read_source runs it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = `${process.env.HEADRACE_BUILD ?? 'build/dev'}/tests/engines/read_source`;

// { columns, rows: lines of JSON, end } or { error }.
export async function readSource(source, credential) {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-engine-'));
  try {
    const file = join(folder, 'engine.yaml');
    writeFileSync(file, JSON.stringify({ version: 1, name: 'engine', source, sinks: [{ type: 'redis', as: 'json', key: 'engine' }] }));
    const child = spawn(program, [file], { stdio: ['pipe', 'pipe', 'pipe'] });
    const [out, err] = [child.stdout, child.stderr].map(async (stream) => { let text = ''; for await (const piece of stream) text += piece; return text; });
    child.stdin.end(JSON.stringify(credential));
    const [code, signal] = await once(child, 'exit');
    const lines = (await out).trimEnd().split('\n');
    const last = JSON.parse(lines.at(-1) || '{}');
    if (signal || (code && !last.error)) throw new Error(`read_source ended with ${signal ?? code}: ${await err}`);
    if (last.error) return last;
    return { columns: JSON.parse(lines[0]).columns, rows: lines.slice(1, -1), end: last.end };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
