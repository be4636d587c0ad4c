import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, decode, encodeAccount } from '@nats-io/jwt';
import { fromSeed } from '@nats-io/nkeys';
import { connect, credsAuthenticator, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { services } from '@tenantry/contracts/route';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from '../local/nats-server.js';
import { type Credentials, generateCredentials } from './generate.js';

const postgresUrl = 'postgres://db:5432/tenantry?sslmode=verify-full&sslrootcert=%2Fca.crt';
let folder: TemporaryFolder;
let dir: string;
let credentials: Credentials;
const make = () => generateCredentials(dir, { postgresUrl, resolverDir: join(folder.path, 'broker/accounts'), baseDomain: 'example.test' });

beforeAll(async () => {
  folder = await temporaryFolder();
  dir = join(folder.path, 'credentials');
  credentials = await make();
});
afterAll(() => folder.remove());

describe('credentials of an installation', () => {
  it('are the same the second time', async () => {
    const before = await contents();
    await make();
    expect(await contents()).toEqual(before);
  });

  it('are readable by their owner alone', async () => {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true });
    expect(entries.length).toBeGreaterThan(40);
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect([entry.name, (mode & 0o777).toString(8)]).toEqual([entry.name, entry.isDirectory() ? '700' : '600']);
    }
  });

  it('give each process a database login of its own, and the query on', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      `--env-file=${join(credentials.processes.get('quota-metering')!, 'process.env')}`,
      '-p',
      'process.env.TENANTRY_POSTGRES_URL',
    ]);
    const url = new URL(stdout.trim());
    const passwords = JSON.parse(await readFile(join(credentials.migrate, 'service-passwords.json'), 'utf8')) as Record<string, string>;
    expect(url.username).toBe('tenantry_quota_metering');
    expect(url.password).toBe(passwords['quota-metering']);
    expect(url.searchParams.get('sslmode')).toBe('verify-full');
    expect(new Set(Object.values(passwords)).size).toBe(credentials.processes.size + 1);
  });

  it('give provisioning alone the login that blueprints run with', async () => {
    const passwords = JSON.parse(await readFile(join(credentials.migrate, 'service-passwords.json'), 'utf8')) as Record<string, string>;
    const found: [string, string][] = [];
    for (const [name, path] of credentials.processes) {
      const line = /^TENANTRY_BLUEPRINTS_POSTGRES_URL="(.*)"$/m.exec(await readFile(join(path, 'process.env'), 'utf8'));
      if (line) found.push([name, `${new URL(line[1]!).username}:${new URL(line[1]!).password}`]);
    }
    expect(found).toEqual([['provisioning', `tenantry_blueprints:${passwords['blueprints']}`]]);
  });

  it('keep the keys that sign from everybody but their one owner', async () => {
    const owners = async (file: string) => {
      const found: string[] = [];
      for (const [name, path] of credentials.processes) if ((await readdir(path)).includes(file)) found.push(name);
      return found;
    };
    expect(await owners('token.pem')).toEqual(['gateway']);
    for (const file of ['kms.key', 'nats-operator.nk', 'nats-platform.nk', 'nats-system.creds'])
      expect(await owners(file)).toEqual(['identity']);
    expect(await readFile(join(credentials.nats, 'accounts.conf'), 'utf8')).not.toMatch(/\bS[AOU][A-Z2-7]{56}\b/);
  });

  it('give identity every master key while one replaces another, and no longer', async () => {
    const store = join(dir, 'store', 'keys');
    const identity = credentials.processes.get('identity')!;
    const held = async () => (await readdir(identity)).filter((name) => name.startsWith('kms'));
    const first = await readFile(join(identity, 'kms.key'), 'utf8');
    await rename(join(store, 'kms.key'), join(store, 'kms.old.key'));
    await make();
    expect((await held()).sort()).toEqual(['kms.key', 'kms.old.key']);
    expect(await readFile(join(identity, 'kms.old.key'), 'utf8')).toBe(first);
    const second = await readFile(join(identity, 'kms.key'), 'utf8');
    expect(second).not.toBe(first);
    await rm(join(store, 'kms.old.key'));
    await make();
    expect(await held()).toEqual(['kms.key']);
    expect(await readFile(join(identity, 'kms.key'), 'utf8')).toBe(second);
  });

  it.each([
    ['postgres://user:secret@db/tenantry', 'must not hold a login'],
    ['postgres://db/postgres', 'must name the database'],
    ['http://db/tenantry', 'cannot be used'],
  ])('refuse %s', async (url, reason) => {
    await expect(
      generateCredentials(join(folder.path, 'other'), { postgresUrl: url, resolverDir: '/data/accounts', baseDomain: 'example.test' }),
    ).rejects.toThrow(reason);
  });
});

const program = findProgram('nats-server');
describe.skipIf(program === undefined)('a broker with these credentials', () => {
  let stop: () => Promise<void>;
  let url: string;
  const open: NatsConnection[] = [];

  beforeAll(async () => ({ url, stop } = await broker()));
  afterAll(async () => {
    await Promise.all(open.map((connection) => connection.close()));
    await stop();
  });

  const as = async (creds: string, inboxPrefix?: string) => {
    const connection = await connect({
      servers: url,
      authenticator: credsAuthenticator(await readFile(creds)),
      ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
      reconnect: false,
    });
    open.push(connection);
    return connection;
  };
  const process_ = (name: Parameters<Credentials['processes']['get']>[0]) =>
    as(join(credentials.processes.get(name)!, 'nats.creds'), `_INBOX_${name}`);

  it('carries a call in the caller’s own name, and its reply', async () => {
    const [gateway, billing] = await Promise.all([process_('gateway'), process_('billing')]);
    billing.subscribe('rpc.billing.*.>', { callback: (_error, message) => void message.respond(`for ${message.subject}`) });
    await billing.flush();
    expect((await gateway.request('rpc.billing.gateway.plans.list')).string()).toBe('for rpc.billing.gateway.plans.list');
  });

  describe.each(services)('lets %s', (name) => {
    let connection: NatsConnection;
    beforeAll(async () => {
      connection = await process_(name);
    });
    const another = name === 'billing' ? 'audit' : 'billing';

    it('say and hear what is its own', async () => {
      expect(await refusedToPublish(connection, `rpc.${another}.${name}.x`)).toBe(false);
      expect(await refusedToPublish(connection, 'tenantry.nudge')).toBe(false);
      for (const subject of [`rpc.${name}.*.x`, `_INBOX_${name}.x`, 'tenantry.events.>'])
        expect([subject, await refusedToHear(connection, subject)]).toEqual([subject, false]);
    });

    it('not speak in another name, nor to the stream, nor to accounts', async () => {
      const stream = name === 'relay' ? [] : ['tenantry.events.x.tenant.TenantRegistered', '$JS.API.STREAM.CREATE.TENANTRY_EVENTS'];
      for (const subject of [
        ...stream,
        `rpc.${name}.${another}.x`,
        `rpc.x.${another}.y`,
        `_INBOX_${another}.x`,
        '$JS.API.STREAM.DELETE.TENANTRY_EVENTS',
        '$JS.API.STREAM.PURGE.TENANTRY_EVENTS',
        '$JS.API.STREAM.MSG.DELETE.TENANTRY_EVENTS',
        '$JS.API.STREAM.CREATE.OTHER',
        '$JS.ACK.TENANTRY_EVENTS.x.1.1.1.1.0',
        '$SYS.REQ.CLAIMS.UPDATE',
        'anything',
      ])
        expect([subject, await refusedToPublish(connection, subject)]).toEqual([subject, true]);
    });

    it('not fetch from consumers, but for the relay, which looks through the stream', async () => {
      const subject = '$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.x';
      expect(await refusedToPublish(connection, subject)).toBe(name !== 'relay');
    });

    it('not hear others', async () => {
      for (const subject of [`rpc.${another}.>`, `_INBOX_${another}.>`, '_INBOX.>', 'rpc.>', '$JS.>', '$SYS.>', '>'])
        expect([subject, await refusedToHear(connection, subject)]).toEqual([subject, true]);
    });
  });

  it('lets the user of the system account push and look up accounts, and nothing else', async () => {
    const system = await as(join(credentials.processes.get('identity')!, 'nats-system.creds'), '_INBOX_identity');
    for (const subject of ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.CLAIMS.LIST', '$SYS.REQ.ACCOUNT.A.CLAIMS.LOOKUP'])
      expect([subject, await refusedToPublish(system, subject)]).toEqual([subject, false]);
    for (const subject of ['$SYS.REQ.CLAIMS.DELETE', '$SYS.REQ.SERVER.PING', '$SYS.REQ.ACCOUNT.A.CONNZ', '$JS.API.STREAM.NAMES'])
      expect([subject, await refusedToPublish(system, subject)]).toEqual([subject, true]);
    for (const subject of ['$SYS.>', '>', '_INBOX.>']) expect([subject, await refusedToHear(system, subject)]).toEqual([subject, true]);
  });

  it('gives the relay JetStream, and the reader its messages', async () => {
    const relay = await process_('relay');
    const created = await relay.request(
      '$JS.API.STREAM.CREATE.TENANTRY_EVENTS',
      JSON.stringify({ name: 'TENANTRY_EVENTS', subjects: ['tenantry.events.>'], storage: 'file' }),
    );
    expect(created.json()).toMatchObject({ config: { name: 'TENANTRY_EVENTS' } });
    await relay.request('tenantry.events.t.tenant.TenantRegistered', 'first');
    const reader = await as(join(credentials.operator, 'reader.creds'));
    const message = await reader.request('$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS', JSON.stringify({ seq: 1 }));
    expect(Buffer.from(message.json<{ message: { data: string } }>().message.data, 'base64').toString()).toBe('first');
  });

  it('keeps what was pushed since, when it starts again with the older preload', async () => {
    const account = fromSeed(Buffer.from(await readFile(join(dir, 'store/nats/keys/platform.nk'), 'utf8')));
    const signer = fromSeed(Buffer.from(await readFile(join(dir, 'store/nats/keys/operator.nk'), 'utf8')));
    const file = join(folder.path, 'broker/accounts', `${account.getPublicKey()}.jwt`);
    // An account's time of issue is in seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: 123, leaf: -1, disk_storage: -1 };
    const newer = await encodeAccount('PLATFORM', account, { limits }, { signer });
    const system = await as(join(dir, 'store/nats/creds/system.creds'), '_INBOX_identity');
    expect((await system.request('$SYS.REQ.CLAIMS.UPDATE', newer)).json()).toMatchObject({ data: { code: 200 } });
    await stop();
    ({ url, stop } = await broker());
    const kept = decode<Account>((await readFile(file, 'utf8')).trim());
    expect(kept.nats.limits?.conn).toBe(123);
    await process_('billing');
  });
});

const refusedToPublish = (connection: NatsConnection, subject: string) =>
  refused(connection, subject, () => connection.publish(subject, '{}'));
const refusedToHear = (connection: NatsConnection, subject: string) =>
  refused(connection, subject, () => connection.subscribe(subject, { callback: () => undefined }));

/** Whether the broker refuses it: it says so before it answers the ping that follows. */
async function refused(connection: NatsConnection, subject: string, act: () => void): Promise<boolean> {
  const status = connection.status();
  let seen = false;
  const listening = (async () => {
    for await (const one of status)
      if (one.type === 'error' && one.error instanceof PermissionViolationError && one.error.subject === subject) seen = true;
  })();
  act();
  await connection.flush();
  (status as { stop?(): void }).stop?.();
  await listening;
  return seen;
}

async function contents(): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const)));
}

async function broker(): Promise<{ url: string; stop: () => Promise<void> }> {
  const home = join(folder.path, 'broker');
  await mkdir(home, { recursive: true });
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  listener.close();
  await once(listener, 'close');
  const lines = [
    'server_name: spec',
    'host: "127.0.0.1"',
    `port: ${port}`,
    `jetstream { store_dir: ${JSON.stringify(join(home, 'jetstream'))} }`,
    'include "../credentials/nats/accounts.conf"',
  ];
  await writeFile(join(home, 'nats.conf'), lines.join('\n'));
  const child = spawn(program!, ['-c', join(home, 'nats.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (data: Buffer) => {
      log += data.toString();
      if (log.includes('Server is ready')) resolve();
    });
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`nats-server did not start:\n${log}`)));
  });
  const stop = async () => {
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  return { url: `nats://127.0.0.1:${port}`, stop };
}
