import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokerAdmin } from '../harness/broker.js';
import type { Issued, Subscriber } from '../harness/subscriber.js';
import { refusedToConnect, Subscriptions, subscriptionPaths, type TenantWithKey } from '../harness/subscriptions.js';
import { type System, startSystem } from '../harness/system.js';
import { eventsOf, PLATFORM, unique } from '../harness/tenants.js';

/** So often identity compares the broker with what subscriptions need; every sixth time their accounts too. */
const CHECK_SECONDS = 1;
let system: System;
let subscriptions: Subscriptions;
let a: TenantWithKey;
let b: TenantWithKey;
/** In the platform's account: what another system's subscriber must never reach. */
let admin: NatsConnection;

const positions = (list: { position: number }[]) => list.map(({ position }) => position);
const upTo = (head: number) => Array.from({ length: head + 1 }, (_, position) => position);
/** Its client has found the broker again. */
const back = (subscriber: Subscriber) => eventually(() => subscriber.connection.flush().then(() => true));
const api = async <T = any>(operation: string, body?: unknown): Promise<T> =>
  (await admin.request(`$JS.API.${operation}`, body === undefined ? '' : JSON.stringify(body), { timeout: 5_000 })).json<T>();

beforeAll(async () => {
  // Two of identity, so that each request, effect and check may meet another one.
  system = await startSystem({ TENANTRY_REPLICAS: 'identity=2', TENANTRY_SUBSCRIPTION_CHECK_SECONDS: String(CHECK_SECONDS) });
  subscriptions = new Subscriptions(system.api);
  [a, b] = await Promise.all([subscriptions.tenant(), subscriptions.tenant()]);
  admin = await brokerAdmin(system.dataDir, (await system.run()).natsUrl);
}, 180_000);
afterAll(async () => {
  await Promise.all([subscriptions?.close(), admin?.close()]);
  await system?.stop();
}, 60_000);

describe('another system', () => {
  it("fetches and acknowledges its tenant's events, all of them and in order", async () => {
    const issued = await subscriptions.make({ tenants: [a.id] });
    expect(issued).toMatchObject({ status: 'active', stream: 'TENANTRY_EVENTS' });
    expect(issued.consumers.map(({ filterSubject }) => filterSubject)).toEqual([`tenantry.events.${a.id}.>`]);
    const subscriber = await subscriptions.listen(issued);
    const head = await subscriptions.headOf(a);
    expect(positions(await subscriber.take(head + 1))).toEqual(upTo(head));
    await subscriptions.change(a);
    expect(positions(await subscriber.take(1))).toEqual([head + 1]);
    await eventually(async () => {
      const { body } = await system.api.get(subscriptionPaths.one(issued.id));
      expect(body.lag).toEqual([{ tenantId: a.id, context: 'all', delivered: head + 1, acknowledged: head + 1, head: head + 1 }]);
      return true;
    });
  });

  it('gets of the contexts that it named each in a consumer of its own, and its lag by context', async () => {
    const issued = await subscriptions.make({ tenants: [a.id], contexts: ['tenant', 'billing'], types: ['TenantRegistered'] });
    const subscriber = await subscriptions.listen(issued);
    const events = await eventsOf(system.api, a.id);
    for (const [consumer, context] of ['billing', 'tenant'].entries()) {
      const wanted = events.filter((event) => event.context === context || event.type.startsWith('x'));
      expect(issued.consumers[consumer]?.filterSubject).toBe(`tenantry.events.${a.id}.${context}.>`);
      const got = await subscriber.fetch({ consumer });
      expect(got.every(({ subject }) => subject.startsWith(`tenantry.events.${a.id}.${context}.`))).toBe(true);
      if (wanted.length > 0) expect(positions(got)).toEqual(positions(wanted));
      expect(got.length).toBeGreaterThan(0);
      const { body } = await system.api.get(subscriptionPaths.one(issued.id));
      const lag = body.lag.find((one: { context: string }) => one.context === context);
      expect(lag).toMatchObject({ delivered: got.at(-1)?.position, acknowledged: -1, head: got.at(-1)?.position });
    }
  });

  it('gets every tenant’s events where it subscribed to all, of new tenants too, and the platform’s', async () => {
    const issued = await subscriptions.make({ tenants: 'all', contexts: ['tenant', 'platform'] });
    const subscriber = await subscriptions.listen(issued);
    const later = await subscriptions.tenant();
    const seen = new Set<string>();
    await eventually(
      async () => {
        for (const consumer of [0, 1]) {
          for (const message of await subscriber.fetch({ consumer, waitMs: 200 })) {
            message.ack();
            seen.add(message.tenantId);
          }
        }
        return [a.id, b.id, later.id, PLATFORM_LOG].every((id) => seen.has(id as string));
      },
      { timeoutMs: 15_000 },
    );
    const { body } = await system.api.get(subscriptionPaths.one(issued.id));
    expect(body.lag.map(({ tenantId }: { tenantId: string }) => tenantId)).toContain(later.id);
  });

  it('begins where it says', async () => {
    const events = await eventsOf(system.api, b.id);
    const head = events.length - 1;
    const [fresh, timed, positioned] = await Promise.all([
      subscriptions.make({ tenants: [b.id], from: 'new' }),
      subscriptions.make({ tenants: [b.id], from: { time: new Date().toISOString() } }),
      subscriptions.make({ tenants: [b.id], from: { positions: { [b.id]: head } } }),
    ]);
    await subscriptions.change(b);
    expect(positions(await (await subscriptions.listen(fresh)).take(1))).toEqual([head + 1]);
    const all = await Promise.all([timed, positioned].map(async (issued) => (await subscriptions.listen(issued)).fetch()));
    // Not later than that; a little earlier is left out by whoever knows his positions.
    expect(positions(all[0]!)).toContain(head + 1);
    expect(positions(all[1]!).slice(-2)).toEqual([head, head + 1]);
  });
});

describe('credentials', () => {
  it('are shown once, whatever is asked again', async () => {
    const headers = { 'idempotency-key': unique('key') };
    const body = { name: 'once', tenants: [a.id], contexts: 'all', from: 'new' };
    const first = await system.api.post(subscriptionPaths.create, body, headers);
    const again = await system.api.post(subscriptionPaths.create, body, headers);
    expect([first.status, again.status, again.body.code]).toEqual([201, 409, 'idempotency.secret_already_shown']);
    const { body: list } = await system.api.get(subscriptionPaths.create);
    expect(list.items.filter(({ id }: { id: string }) => id === first.body.id)).toHaveLength(1);
    const log = JSON.stringify(await system.api.get(`${PLATFORM}/tenants/${a.id}/events?limit=200`));
    expect(log + JSON.stringify(list)).not.toMatch(/SU[A-Z2-7]{56}|NKEY SEED/);
  });

  it('of before are refused at once after a rotation, and the new ones go on where the others were', async () => {
    const issued = await subscriptions.make({ tenants: [a.id] });
    const before = await subscriptions.listen(issued);
    const taken = await before.take(3);
    // A request that still waits at the broker must not swallow what the new ones are to get.
    before.connection.publish(
      `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${issued.consumers[0]?.name}`,
      JSON.stringify({ batch: 1_000, expires: 30_000_000_000 }),
      {
        reply: `${issued.inboxPrefix}.waits`,
      },
    );
    await before.connection.flush();
    const { status, body } = await system.api.post(`${subscriptionPaths.one(issued.id)}/rotate`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: issued.id, consumers: issued.consumers });
    await before.connection.closed();
    expect(await refusedToConnect(issued)).toBe(true);
    const after = await subscriptions.listen(body);
    const head = await subscriptions.headOf(a);
    expect(positions(await after.take(head + 1 - taken.length))).toEqual(upTo(head).slice(taken.length));
  });

  it('end with the key that they were issued with; the subscription stays, and others go on where these were', async () => {
    const permissions = ['event-subscription:create', 'event:read'];
    const expiresAt = new Date(Date.now() + 9_000).toISOString();
    const { body: ending } = await system.api.post(`${PLATFORM}/api-keys`, { name: 'contractor', permissions, expiresAt });
    const body = { name: 'ends', tenants: [a.id], contexts: 'all', from: 'first' };
    const { status, body: issued } = await system.api.as(ending.key).post(subscriptionPaths.create, body);
    expect([status, issued.credentialsExpireAt]).toEqual([201, expiresAt]);
    const before = await subscriptions.listen(issued);
    const taken = await before.take(3);
    await before.connection.closed();
    expect(Date.now()).toBeGreaterThan(Date.parse(expiresAt) - 1_000);
    // Within that second the broker lets them in, and out again.
    await eventually(() => refusedToConnect(issued), { timeoutMs: 3_000, what: 'the credentials to be refused' });
    expect((await system.api.get(subscriptionPaths.one(issued.id))).body).toMatchObject({
      status: 'active',
      credentialsExpireAt: expiresAt,
    });
    const rotated = (await system.api.post(`${subscriptionPaths.one(issued.id)}/rotate`)).body;
    expect(rotated.credentialsExpireAt).toBeNull();
    const after = await subscriptions.listen(rotated);
    const head = await subscriptions.headOf(a);
    expect(positions(await after.take(head + 1 - taken.length))).toEqual(upTo(head).slice(taken.length));
  });

  it('of two rotations at once work for one only', async () => {
    const issued = await subscriptions.make({ tenants: [a.id] });
    const replies = await Promise.all([1, 2, 3].map(() => system.api.post(`${subscriptionPaths.one(issued.id)}/rotate`)));
    const shown = replies.filter(({ status }) => status === 200).map(({ body }) => body as Issued);
    expect(replies.every(({ status, body }) => status === 200 || body.code === 'event_subscription.superseded')).toBe(true);
    const working = await Promise.all(shown.map(async (one) => !(await refusedToConnect(one))));
    expect(working.filter(Boolean)).toHaveLength(1);
  });
});

describe('a subscription', () => {
  it('delivers nothing while it is paused, and then goes on without a gap', async () => {
    const issued = await subscriptions.make({ tenants: [b.id] });
    const subscriber = await subscriptions.listen(issued, { reconnect: true });
    const first = await subscriber.take(4);
    expect((await system.api.post(`${subscriptionPaths.one(issued.id)}/pause`)).body.status).toBe('paused');
    await subscriptions.change(b);
    expect(await refusedToConnect(issued)).toBe(false);
    await back(subscriber);
    expect(await subscriber.fetch({ waitMs: 1_000 })).toEqual([]);
    const { body: paused } = await system.api.get(subscriptionPaths.one(issued.id));
    expect(paused.lag[0]).toMatchObject({ acknowledged: 3 });
    expect((await system.api.post(`${subscriptionPaths.one(issued.id)}/resume`)).body.status).toBe('active');
    const head = await subscriptions.headOf(b);
    expect(positions(await subscriber.take(head + 1 - first.length))).toEqual(upTo(head).slice(first.length));
  });

  it('is replayed from a position, from an instant and from the first', async () => {
    const issued = await subscriptions.make({ tenants: [b.id], from: 'new' });
    const subscriber = await subscriptions.listen(issued, { reconnect: true });
    const head = await subscriptions.headOf(b);
    for (const from of ['first', { positions: { [b.id]: 0 } }, { time: '2020-01-01T00:00:00Z' }]) {
      expect((await system.api.post(`${subscriptionPaths.one(issued.id)}/replay`, { from })).status).toBe(200);
      await back(subscriber);
      expect(positions(await subscriber.take(head + 1))).toEqual(upTo(head));
    }
    const beyond = await system.api.post(`${subscriptionPaths.one(issued.id)}/replay`, { from: { positions: { [b.id]: head + 2 } } });
    expect([beyond.status, beyond.body.errors[0].field]).toEqual([422, `from.positions.${b.id}`]);
  });

  it('is refused with every fault named', async () => {
    const nobody = '11111111-1111-4111-8111-111111111111';
    const tried: [Record<string, unknown>, string][] = [
      [{ tenants: [nobody] }, 'tenants.0'],
      [{ tenants: [PLATFORM_LOG] }, 'tenants.0'],
      [{ tenants: 'all', contexts: ['weather'] }, 'contexts'],
      [{ tenants: 'all', types: ['Rain'] }, 'types.0'],
      [{ tenants: 'all', contexts: ['billing'], types: ['TenantRegistered'] }, 'types.0'],
      [{ tenants: 'all', from: { time: '2999-01-01T00:00:00Z' } }, 'from.time'],
      [{ tenants: [a.id], from: { positions: {} } }, 'from.positions'],
      [{ tenants: [a.id], from: { positions: { [b.id]: 0 } } }, `from.positions.${b.id}`],
      [{ tenants: 'all', name: ' ' }, 'name'],
    ];
    for (const [body, field] of tried) {
      const { status, body: problem } = await system.api.post(subscriptionPaths.create, {
        name: 'test',
        contexts: 'all',
        from: 'new',
        ...body,
      });
      expect([status, problem.errors?.[0]?.field?.startsWith(field)], `${JSON.stringify(body)} → ${JSON.stringify(problem)}`).toEqual([
        422,
        true,
      ]);
    }
  });
});

describe('what was revoked', () => {
  it('stays refused when the broker was killed, and what was not goes on', async () => {
    const [gone, kept] = await Promise.all([subscriptions.make({ tenants: [a.id] }), subscriptions.make({ tenants: [a.id] })]);
    const rotated = (await system.api.post(`${subscriptionPaths.one(kept.id)}/rotate`)).body as Issued;
    const subscriber = await subscriptions.listen(gone);
    await subscriber.take(1);
    expect((await system.api.delete(subscriptionPaths.one(gone.id))).status).toBe(204);
    await subscriber.connection.closed();
    expect(await refusedToConnect(gone)).toBe(true);
    expect((await system.api.delete(subscriptionPaths.one(gone.id))).status).toBe(204);
    expect((await system.api.get(subscriptionPaths.one(gone.id))).body.status).toBe('revoked');
    expect((await system.api.post(`${subscriptionPaths.one(gone.id)}/rotate`)).body.code).toBe('event_subscription.revoked');
    const { consumers } = await api('CONSUMER.NAMES.TENANTRY_EVENTS');
    expect(consumers).not.toContain(gone.consumers[0]?.name);
    expect(consumers).toContain(kept.consumers[0]?.name);

    await kill('nats');
    expect(await refusedToConnect(gone)).toBe(true);
    expect(await refusedToConnect(kept)).toBe(true);
    const head = await subscriptions.headOf(a);
    expect(positions(await (await subscriptions.listen(rotated)).take(head + 1))).toEqual(upTo(head));
  }, 90_000);
});

describe('a broker that lost its consumers', () => {
  it('gets them again, where they were', async () => {
    const issued = await subscriptions.make({ tenants: [a.id] });
    const subscriber = await subscriptions.listen(issued);
    const head = await subscriptions.headOf(a);
    await subscriber.take(head + 1);
    const reached = await eventually(async () => {
      const { delivered, num_ack_pending } = await api(`CONSUMER.INFO.TENANTRY_EVENTS.${issued.consumers[0]?.name}`);
      return num_ack_pending === 0 && delivered.stream_seq;
    });
    await eventually(() => remembered(issued, reached), { timeoutMs: 30_000, what: 'identity to remember how far it has come' });
    await api(`CONSUMER.DELETE.TENANTRY_EVENTS.${issued.consumers[0]?.name}`);
    await subscriptions.change(a);
    expect(positions(await subscriber.take(1, { timeoutMs: 30_000 }))).toEqual([head + 1]);
  }, 90_000);

  it('gets them again with the stream, and then nothing is missing', async () => {
    const issued = await subscriptions.make({ tenants: [b.id] });
    const subscriber = await subscriptions.listen(issued, { reconnect: true });
    await subscriber.take(2);
    await api('STREAM.DELETE.TENANTRY_EVENTS');
    await subscriptions.change(b);
    const head = await subscriptions.headOf(b);
    const seen = new Set<number>();
    await eventually(
      async () => {
        for (const { position, ack } of await subscriber.fetch()) {
          seen.add(position);
          ack();
        }
        const missing = upTo(head)
          .slice(2)
          .filter((position) => !seen.has(position));
        if (missing.length === 0) return true;
        const { delivered, num_pending, num_ack_pending, error } = await api(`CONSUMER.INFO.TENANTRY_EVENTS.${issued.consumers[0]?.name}`);
        const { state } = await api('STREAM.INFO.TENANTRY_EVENTS');
        throw new Error(
          `positions ${missing} did not come; ${JSON.stringify({ delivered, num_pending, num_ack_pending, error, first: state?.first_seq, last: state?.last_seq })}`,
        );
      },
      { timeoutMs: 60_000, what: 'what was not acknowledged before' },
    );
  }, 90_000);

  it('gets an account again that it lost, and a revoked one does not come back with it', async () => {
    const [issued, gone] = await Promise.all([
      subscriptions.make({ tenants: [a.id], from: 'new' }),
      subscriptions.make({ tenants: [a.id] }),
    ]);
    expect((await system.api.delete(subscriptionPaths.one(gone.id))).status).toBe(204);
    const accounts = join(system.dataDir, 'nats/accounts');
    const fileOf = ({ credentials }: Issued) => {
      const [, payload] = credentials.split('.');
      return join(accounts, `${JSON.parse(Buffer.from(payload as string, 'base64url').toString()).nats.issuer_account}.jwt`);
    };
    await Promise.all([issued, gone].map((one) => rm(fileOf(one))));
    await kill('nats');
    await eventually(async () => !(await refusedToConnect(issued)), { timeoutMs: 60_000, intervalMs: 1_000 });
    expect(await refusedToConnect(gone)).toBe(true);
    await subscriptions.change(a);
    const head = await subscriptions.headOf(a);
    expect(positions(await (await subscriptions.listen(issued)).take(1))).toEqual([head]);
  }, 120_000);
});

/** Whether identity has written down that the subscription's consumer came as far as that. */
async function remembered(issued: Issued, sequence: number): Promise<boolean> {
  const client = new pg.Client({ connectionString: (await system.run()).postgresUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM identity.event_subscription_progress WHERE consumer = $1 AND acknowledged >= $2', [
      issued.consumers[0]?.name,
      sequence,
    ]);
    return rowCount === 1;
  } finally {
    await client.end();
  }
}

/** SIGKILL of all of that name; their supervisor starts them again. */
async function kill(name: string): Promise<void> {
  const pids = async () => (await system.run()).processes.filter((one) => one.name === name).map(({ pid }) => pid);
  const before = await pids();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await eventually(async () => !(await pids()).some((pid) => before.includes(pid)), { timeoutMs: 30_000 });
  await eventually(() => admin.flush().then(() => true), { timeoutMs: 30_000 });
}
