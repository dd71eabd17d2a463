// The library as a stranger uses it: installed, found by CMake, with the two programs of its README.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, test } from 'node:test';
import { Queue, RedisServer, until } from './support.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const build = process.env.HEADRACE_BUILD ?? resolve(process.env.BULLMQ_EXAMPLES, '../..');
const folder = mkdtempSync(join(tmpdir(), 'headrace-package-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const run = (command, ...args) => {
  try {
    return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`);
  }
};

test('the README\'s producer and worker build against the installed package and work', async () => {
  const server = await RedisServer.start();
  const programs = [...readFileSync(join(root, 'src/bullmq/README.md'), 'utf8').matchAll(/```cpp\n(.*?)```/gs)].map(([, text]) => text);
  assert.equal(programs.length, 2);
  for (const [i, name] of ['producer', 'worker'].entries()) {
    assert.ok(programs[i].trim().split('\n').length <= 20, `${name} is short`);
    writeFileSync(join(folder, `${name}.cpp`), programs[i].replaceAll('redis://127.0.0.1:6379', server.url));
  }
  run('cmake', '--install', build, '--component', 'bullmq', '--prefix', join(folder, 'prefix'));
  writeFileSync(join(folder, 'CMakeLists.txt'), `cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(HeadraceBullmq REQUIRED)
foreach(name producer worker)
    add_executable(\${name} \${name}.cpp)
    target_link_libraries(\${name} PRIVATE Headrace::bullmq)
endforeach()
`);
  const compiler = process.env.CXX ?? 'clang++-16';
  run('cmake', '-S', '.', '-B', 'build', '-G', 'Ninja', `-DCMAKE_CXX_COMPILER=${compiler}`, `-DCMAKE_PREFIX_PATH=${join(folder, 'prefix')}`);
  run('cmake', '--build', 'build');

  run(join(folder, 'build/producer'));
  const worker = spawn(join(folder, 'build/worker'), { stdio: 'inherit' });
  const queue = new Queue('mail', { connection: server.connection });
  await until('it is done', async () => await queue.getJobCountByTypes('completed') === 1);
  const [job] = await queue.getJobs('completed');
  assert.deepEqual(job.returnvalue, job.data);
  worker.kill('SIGTERM');
  const [code] = await once(worker, 'exit');
  assert.equal(code, 0);
  await queue.close();
  await server.stop();
});
