// Private Redis, Postgres and ClickHouse for the benchmark, pinned to one core, data in a temporary folder.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const freePort = () => new Promise((ok) => {
  const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => ok(port)); });
});

async function until(what, check) {
  for (const end = Date.now() + 30_000; Date.now() < end; await wait(50)) {
    try { if (await check()) return; } catch { /* not yet */ }
  }
  throw new Error(`${what} did not start`);
}

export class Servers {
  dir = mkdtempSync(join(tmpdir(), 'headrace-bench-'));
  children = [];
  pids = {};

  constructor(core) { this.core = core; chmodSync(this.dir, 0o755); }

  run(name, args, options = {}) {
    const log = openSync(join(this.dir, `${name}.log`), 'a');
    const child = spawn('taskset', ['-c', String(this.core), ...args], { stdio: ['ignore', log, log], ...options });
    this.children.push(child);
    this.pids[name] = child.pid;
    return child.pid;
  }

  async redis() {
    this.redisPort = await freePort();
    this.redisPid = this.run('redis', ['redis-server', '--port', String(this.redisPort), '--bind', '127.0.0.1', '--save', '',
      '--appendonly', 'no', '--dir', this.dir, '--maxmemory-policy', 'noeviction', '--lazyfree-lazy-server-del', 'yes']);
    await until('redis', () => execFileSync('redis-cli', ['-p', this.redisPort, 'ping'], { stdio: 'pipe' }).includes('PONG'));
  }

  async postgres() {
    const data = join(this.dir, 'pg'), bin = '/usr/lib/postgresql/15/bin';
    mkdirSync(data);
    const root = process.getuid() === 0;
    const as = root ? ['runuser', '-u', 'postgres', '--'] : [];
    if (root) chownSync(data, Number(execFileSync('id', ['-u', 'postgres'])), Number(execFileSync('id', ['-g', 'postgres'])));
    const exec = (args) => execFileSync([...as, ...args][0], [...as, ...args].slice(1), { stdio: 'pipe' });
    exec([`${bin}/initdb`, '-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C']);
    this.pgPort = await freePort();
    this.run('postgres', [...as, `${bin}/postgres`, '-D', data, '-p', String(this.pgPort), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${data}`]);
    await until('postgres', () => execFileSync('psql', ['-h', '127.0.0.1', '-p', this.pgPort, '-U', 'postgres', '-Atc', 'select 1'], { stdio: 'pipe' }).includes('1'));
    this.pgUrl = `postgresql://postgres@127.0.0.1:${this.pgPort}/postgres`;
  }

  async clickhouse() {
    const dir = join(this.dir, 'ch');
    mkdirSync(dir);
    this.chPort = await freePort();
    writeFileSync(join(dir, 'config.xml'), `<yandex><logger><level>warning</level><log>${dir}/log</log><errorlog>${dir}/err</errorlog></logger>
<http_port>${this.chPort}</http_port><tcp_port>${await freePort()}</tcp_port><listen_host>127.0.0.1</listen_host><timezone>UTC</timezone>
<path>${dir}/data/</path><tmp_path>${dir}/tmp/</tmp_path><mark_cache_size>67108864</mark_cache_size>
<users_config>users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database></yandex>`);
    writeFileSync(join(dir, 'users.xml'), `<yandex><profiles><default><max_memory_usage>4000000000</max_memory_usage><max_threads>1</max_threads></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default><interval><duration>3600</duration><queries>0</queries><errors>0</errors><result_rows>0</result_rows><read_rows>0</read_rows><execution_time>0</execution_time></interval></default></quotas></yandex>`);
    this.run('clickhouse', ['clickhouse-server', `--config-file=${dir}/config.xml`], { cwd: dir });
    this.chUrl = `http://127.0.0.1:${this.chPort}`;
    await until('clickhouse', async () => (await fetch(`${this.chUrl}/ping`)).ok);
  }

  // Moves a server, with its threads, to another core.
  pin(name, core) { execFileSync('taskset', ['-acp', String(core), String(this.pids[name])], { stdio: 'pipe' }); }

  async sql(text) {
    const reply = await fetch(this.chUrl, { method: 'POST', body: text });
    const body = await reply.text();
    if (!reply.ok) throw new Error(body);
    return body;
  }

  async stop() {
    for (const child of this.children.reverse()) {
      const over = new Promise((ok) => child.on('exit', ok));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      if (child.exitCode === null && child.signalCode === null) await over;
      clearTimeout(timer);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

// CPU seconds (user + system) that a process has used.
export function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const status = (pid, key) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
