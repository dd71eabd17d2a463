// Ways to a Redis: TLS, unix socket, a user with few rights, Sentinels with a failover, a cluster with a hash-tagged prefix.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cppAdd, CppWorker, Driver, freePort, Queue, Redis, RedisServer, until, Worker } from './support.mjs';

const servers = [];
const start = async (...args) => {
  const server = await RedisServer.start(...args);
  servers.push(server);
  return server;
};
after(async () => {
  CppWorker.killLeftOvers();
  for (const server of servers.reverse()) await server.stop();
});

// Adds with ours, works with ours; what is completed is looked up over the ordinary connection.
async function works(server, url, prefix = 'bull', env = {}) {
  const to = { url, env };
  const worker = new CppWorker(to, 'q', '--prefix', prefix, '--name', 'w', '--progress');
  await worker.ready();
  const ids = await cppAdd(to, 'q', '--prefix', prefix, '--count', '5');
  await until('all are done', async () => await server.client.zcard(`${prefix}:q:completed`) === 5);
  assert.equal(ids.length, 5);
  assert.equal(await worker.stop(), 0);
}

test('unix socket', async () => {
  const server = await start();
  const path = join(server.directory, 'redis.sock');
  await server.client.config('SET', 'maxclients', '100');
  server.args = ['--unixsocket', path];
  await server.down();
  await server.up();
  await works(server, `redis+unix://${path}`);
});

test('TLS with a certificate that is checked', async () => {
  const server = await start();
  const file = (name) => join(server.directory, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=test authority', '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', file('redis.key'), '-out', file('redis.csr'));
  writeFileSync(file('san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl('x509', '-req', '-in', file('redis.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('san'), '-out', file('redis.pem'));
  const port = await freePort();
  server.args = ['--tls-port', String(port), '--tls-cert-file', file('redis.pem'), '--tls-key-file', file('redis.key'), '--tls-ca-cert-file', file('ca.pem'), '--tls-auth-clients', 'no'];
  await server.down();
  await server.up();
  await works(server, `rediss://localhost:${port}`, 'bull', { SSL_CERT_FILE: file('ca.pem') });
  // Without that authority nobody is believed.
  await assert.rejects(cppAdd({ url: `rediss://localhost:${port}` }, 'q'));
});

test('a user with rights to the keys of the queue only', async () => {
  const server = await start();
  // CLIENT LIST is for getWorkers, INFO and CONFIG for nobody.
  await server.client.call('ACL', 'SETUSER', 'jobs', 'on', '>p%40ss w', '~bull:q:*', 'resetchannels', '-@all', '+@read', '+@write', '+@scripting', '+@connection', '-@admin', '-@dangerous', '+xread', '+multi', '+exec', '+time');
  const url = server.url.replace('redis://', `redis://jobs:${encodeURIComponent('p%40ss w')}@`);
  await works(server, url);
  await assert.rejects(cppAdd({ url: url.replace('jobs:', 'jobs:x') }, 'q'));
  await assert.rejects(cppAdd({ url }, 'other'), 'keys of another queue are not his');
});

class Sentinels {
  static async start(masterPort, count) {
    const all = new Sentinels();
    all.list = [];
    for (let i = 0; i < count; ++i) {
      const server = await RedisServer.prepare();
      const config = join(server.directory, 'sentinel.conf');
      writeFileSync(config, `sentinel monitor mymaster 127.0.0.1 ${masterPort} 1\nsentinel down-after-milliseconds mymaster 700\nsentinel failover-timeout mymaster 3000\n`);
      chmodSync(config, 0o600);
      await server.up(config, '--sentinel');
      servers.push(server);
      all.list.push(server);
    }
    all.url = `redis+sentinel://127.0.0.1:${await freePort()}/mymaster?${all.list.map(({ port }) => `sentinel=127.0.0.1:${port}`).join('&')}`;
    return all;
  }

  async master() { return Number((await this.list[0].client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster'))[1]); }
}

test('Sentinels: the master dies, a replica is promoted, jobs go on there', async () => {
  const master = await start();
  const replica = await start('--replicaof', '127.0.0.1', String(master.port), '--repl-diskless-sync-delay', '0');
  await until('the replica follows', async () => /master_link_status:up/.test(await replica.client.info('replication')));
  // The first Sentinel of the URL does not exist: the next is asked.
  const sentinels = await Sentinels.start(master.port, 2);
  await until('the Sentinels know the replica', async () => (await sentinels.list[1].client.call('SENTINEL', 'REPLICAS', 'mymaster')).length === 1);
  await until('and each other', async () => (await sentinels.list[0].client.call('SENTINEL', 'SENTINELS', 'mymaster')).length === 1);
  const to = { url: sentinels.url };
  const worker = new CppWorker(to, 'q', '--sleep-ms', '300', '--concurrency', '2', '--lock-ms', '4000', '--stalled-ms', '1000', '--reply-timeout-ms', '1500', '--drain-ms', '1000', '--max-stalled', '5');
  await worker.ready();
  await cppAdd(to, 'q', '--count', '10');
  await until('some are done', async () => await master.client.zcard('bull:q:completed') >= 2);
  await until('the replica has all', async () => (await master.client.call('WAIT', '1', '1000')) === 1);
  await master.down('SIGKILL');
  const died = Date.now();
  await until('a replica is promoted', async () => await sentinels.master() === replica.port);
  await until('all are done there', async () => await replica.client.zcard('bull:q:completed') === 10);
  const took = Date.now() - died;
  assert.ok(took < 20_000, `recovery took ${took} ms`);
  // A producer finds the new master by itself.
  await cppAdd(to, 'q', '--count', '1');
  await until('the new one is done', async () => await replica.client.zcard('bull:q:completed') === 11);
  assert.equal(await worker.stop(), 0);
});

test('a server that became a replica is left, not written to for ever', async () => {
  const one = await start();
  const two = await start();
  const driver = new Driver(one, 'q');
  assert.equal((await driver.do({ op: 'add' })).ok, '1');
  await one.client.call('REPLICAOF', '127.0.0.1', String(two.port));
  const clients = async () => Number(/connected_clients:(\d+)/.exec(await one.client.info('clients'))[1]);
  const before = await clients();
  assert.equal((await driver.do({ op: 'add' })).error, 'redis.command');
  await until('its connection is closed', async () => await clients() === before - 1);
  await one.client.call('REPLICAOF', 'NO', 'ONE');
  assert.notEqual((await driver.do({ op: 'add' })).ok, undefined);
  await driver.stop();
});

test('a cluster: ours and Node\'s on a queue with a hash tag, from any node', async () => {
  const nodes = [];
  for (let i = 0; i < 3; ++i) nodes.push(await start('--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'));
  const ranges = [[0, 5460], [5461, 10922], [10923, 16383]];
  for (const [i, node] of nodes.entries()) await node.client.call('CLUSTER', 'ADDSLOTSRANGE', ...ranges[i].map(String));
  for (const node of nodes.slice(1)) await nodes[0].client.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port));
  for (const node of nodes) await until('the cluster is up', async () => /cluster_state:ok/.test(await node.client.call('CLUSTER', 'INFO')));
  const slot = Number(await nodes[0].client.call('CLUSTER', 'KEYSLOT', '{bull}:q:meta'));
  const owner = nodes.find((_, i) => slot >= ranges[i][0] && slot <= ranges[i][1]);
  for (const node of nodes) {
    await owner.client.flushall();
    await works(owner, node.url.replace('redis://', 'redis+cluster://'), '{bull}');
  }
  const client = new Redis.Cluster([{ host: '127.0.0.1', port: nodes[1].port }], { redisOptions: { maxRetriesPerRequest: null } });
  const queue = new Queue('q', { connection: client, prefix: '{bull}' });
  const job = await queue.add('from node', { a: 1 });
  const worker = new CppWorker({ url: nodes[2].url.replace('redis://', 'redis+cluster://') }, 'q', '--prefix', '{bull}');
  await until('ours did it', async () => await queue.getJobState(job.id) === 'completed');
  assert.equal(await worker.stop(), 0);
  const [id] = await cppAdd({ url: nodes[0].url.replace('redis://', 'redis+cluster://') }, 'q', '--prefix', '{bull}');
  const theirs = new Worker('q', async () => 1, { connection: client.duplicate(), prefix: '{bull}' });
  await until('Node did ours', async () => await queue.getJobState(id) === 'completed');
  await theirs.close();
  await queue.close();
  client.disconnect();
  await assert.rejects(cppAdd({ url: nodes[0].url.replace('redis://', 'redis+cluster://') }, 'q'), 'without a hash tag it cannot work');
});
