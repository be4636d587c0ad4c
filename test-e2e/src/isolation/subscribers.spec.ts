import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokerAdmin } from '../harness/broker.js';
import { type Issued, Subscriber } from '../harness/subscriber.js';
import { type System, startSystem } from '../harness/system.js';
import { activeTenant, eventsOf, PLATFORM, unique } from '../harness/tenants.js';

/** So often identity compares the broker with what subscriptions need; every sixth time their accounts too. */
const CHECK_SECONDS = 1;
let system: System;
let [a, b]: { id: string; key: string }[] = [];
const open: { close(): Promise<void> }[] = [];
/** In the platform's account: what another system's subscriber must never reach. */
let admin: NatsConnection;

const made = async () => {
  const { tenant } = await activeTenant(system.api, { name: unique('Sub'), adminEmail: 'a@sub.example' });
  const { body } = await system.api.post(`${PLATFORM}/tenants/${tenant.id}/api-keys`, { name: 'test' });
  return { id: tenant.id as string, key: body.key as string };
};
const of = { create: `${PLATFORM}/event-subscriptions`, one: (id: string) => `${PLATFORM}/event-subscriptions/${id}` };
async function subscribe(body: Record<string, unknown>): Promise<Issued> {
  // Right after the broker was killed the answer is 503, to be asked again.
  const {
    status,
    body: issued,
    text,
  } = await eventually(
    async () => {
      const reply = await system.api.post(of.create, { name: 'test', contexts: 'all', from: 'first', ...body });
      if (reply.status === 503) throw new Error(reply.text);
      return reply;
    },
    { timeoutMs: 20_000, intervalMs: 500 },
  );
  if (status !== 201) throw new Error(`creation answered ${status}: ${text}`);
  return issued;
}
const listen = async (issued: Issued, options?: Parameters<typeof Subscriber.open>[1]) => {
  const subscriber = await Subscriber.open(issued, options);
  open.push(subscriber);
  return subscriber;
};
/** A change that appends one event to the tenant's log. */
const change = async (tenant: { id: string }) => {
  const { status, text } = await system.api.put(`${PLATFORM}/tenants/${tenant.id}`, { name: unique('Renamed') });
  if (status !== 200) throw new Error(`renaming answered ${status}: ${text}`);
};
const positions = (list: { position: number }[]) => list.map(({ position }) => position);
const upTo = (head: number) => Array.from({ length: head + 1 }, (_, position) => position);
const headOf = async (tenant: { id: string }) => (await eventsOf(system.api, tenant.id)).length - 1;
/** Its client has found the broker again. */
const back = (subscriber: Subscriber) => eventually(() => subscriber.connection.flush().then(() => true));
const refusedToConnect = (issued: Issued) =>
  Subscriber.open(issued).then(
    async (subscriber) => {
      await subscriber.close();
      return false;
    },
    () => true,
  );

beforeAll(async () => {
  // Two of identity, so that each request, effect and check may meet another one.
  system = await startSystem({ TENANTRY_REPLICAS: 'identity=2', TENANTRY_SUBSCRIPTION_CHECK_SECONDS: String(CHECK_SECONDS) });
  [a, b] = await Promise.all([made(), made()]);
  admin = await brokerAdmin(system);
  open.push(admin);
}, 180_000);
afterAll(async () => {
  await Promise.all(open.map((one) => one.close()));
  await system?.stop();
}, 60_000);

const api = async <T = any>(operation: string, body?: unknown): Promise<T> =>
  (await admin.request(`$JS.API.${operation}`, body === undefined ? '' : JSON.stringify(body), { timeout: 5_000 })).json<T>();

describe('another system', () => {
  it("fetches and acknowledges its tenant's events, all of them and in order", async () => {
    const issued = await subscribe({ tenants: [a?.id] });
    expect(issued).toMatchObject({ status: 'active', stream: 'TENANTRY_EVENTS' });
    expect(issued.consumers.map(({ filterSubject }) => filterSubject)).toEqual([`tenantry.events.${a?.id}.>`]);
    const subscriber = await listen(issued);
    const head = await headOf(a!);
    expect(positions(await subscriber.take(head + 1))).toEqual(upTo(head));
    await change(a!);
    expect(positions(await subscriber.take(1))).toEqual([head + 1]);
    await eventually(async () => {
      const { body } = await system.api.get(of.one(issued.id));
      expect(body.lag).toEqual([{ tenantId: a?.id, context: 'all', delivered: head + 1, acknowledged: head + 1, head: head + 1 }]);
      return true;
    });
  });

  it('gets of the contexts that it named each in a consumer of its own, and its lag by context', async () => {
    const issued = await subscribe({ tenants: [a?.id], contexts: ['tenant', 'billing'], types: ['TenantRegistered'] });
    const subscriber = await listen(issued);
    const events = await eventsOf(system.api, a!.id);
    for (const [consumer, context] of ['billing', 'tenant'].entries()) {
      const wanted = events.filter((event) => event.context === context || event.type.startsWith('x'));
      expect(issued.consumers[consumer]?.filterSubject).toBe(`tenantry.events.${a?.id}.${context}.>`);
      const got = await subscriber.fetch({ consumer });
      expect(got.every(({ subject }) => subject.startsWith(`tenantry.events.${a?.id}.${context}.`))).toBe(true);
      if (wanted.length > 0) expect(positions(got)).toEqual(positions(wanted));
      expect(got.length).toBeGreaterThan(0);
      const { body } = await system.api.get(of.one(issued.id));
      const lag = body.lag.find((one: { context: string }) => one.context === context);
      expect(lag).toMatchObject({ delivered: got.at(-1)?.position, acknowledged: -1, head: got.at(-1)?.position });
    }
  });

  it('gets every tenant’s events where it subscribed to all, of new tenants too, and the platform’s', async () => {
    const issued = await subscribe({ tenants: 'all', contexts: ['tenant', 'platform'] });
    const subscriber = await listen(issued);
    const later = await made();
    const seen = new Set<string>();
    await eventually(
      async () => {
        for (const consumer of [0, 1]) {
          for (const message of await subscriber.fetch({ consumer, waitMs: 200 })) {
            message.ack();
            seen.add(message.tenantId);
          }
        }
        return [a?.id, b?.id, later.id, PLATFORM_LOG].every((id) => seen.has(id as string));
      },
      { timeoutMs: 15_000 },
    );
    const { body } = await system.api.get(of.one(issued.id));
    expect(body.lag.map(({ tenantId }: { tenantId: string }) => tenantId)).toContain(later.id);
  });

  it('begins where it says', async () => {
    const events = await eventsOf(system.api, b!.id);
    const head = events.length - 1;
    const [fresh, timed, positioned] = await Promise.all([
      subscribe({ tenants: [b?.id], from: 'new' }),
      subscribe({ tenants: [b?.id], from: { time: new Date().toISOString() } }),
      subscribe({ tenants: [b?.id], from: { positions: { [b!.id]: head } } }),
    ]);
    await change(b!);
    expect(positions(await (await listen(fresh)).take(1))).toEqual([head + 1]);
    const all = await Promise.all([timed, positioned].map(async (issued) => (await listen(issued)).fetch()));
    // Not later than that; a little earlier is left out by whoever knows his positions.
    expect(positions(all[0]!)).toContain(head + 1);
    expect(positions(all[1]!).slice(-2)).toEqual([head, head + 1]);
  });
});

describe('a subscriber for one tenant', () => {
  let mine: Subscriber;
  let other: Subscriber;
  beforeAll(async () => {
    const created = await system.api
      .as(a!.key)
      .post(`/api/tenants/${a?.id}/event-subscriptions`, { name: 'own', contexts: 'all', from: 'first' });
    expect(created.status).toBe(201);
    const { nats_url: natsUrl, inbox_prefix: inboxPrefix, consumers, ...rest } = created.body;
    const named = consumers.map((one: any) => ({ name: one.name, filterSubject: one.filter_subject }));
    mine = await listen({ ...rest, natsUrl, inboxPrefix, consumers: named });
    other = await listen(await subscribe({ tenants: [b?.id] }));
  });

  it('reads its own', async () => {
    const got = await mine.fetch();
    expect(got.length).toBeGreaterThan(5);
    expect(new Set(got.map(({ tenantId }) => tenantId))).toEqual(new Set([a?.id]));
    // What the refusals below are measured against.
    const { consumers, inboxPrefix } = mine.issued;
    expect(await mine.refuses('publish', `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${consumers[0]?.name}`)).toBe(false);
    expect(await mine.refuses('publish', `$JS.ACK.TENANTRY_EVENTS.${consumers[0]?.name}.1.1.1.1.0`)).toBe(false);
    expect(await mine.refuses('subscribe', `${inboxPrefix}.x`)).toBe(false);
  });

  const foreign = () => other.issued.consumers[0]!.name;
  it.each([
    ['another consumer’s messages', () => `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${foreign()}`],
    ['another consumer’s acknowledgements', () => `$JS.ACK.TENANTRY_EVENTS.${foreign()}.1.1.1.1.0`],
    ['events', () => `tenantry.events.${a?.id}.tenant.TenantRegistered`],
    ['another tenant’s events', () => `tenantry.events.${b?.id}.tenant.TenantRegistered`],
    ['wake-ups', () => 'tenantry.nudge'],
    ['calls', () => 'rpc.identity.gateway.event-subscriptions.create'],
    ['calls in its own name', () => 'rpc.identity.es.authenticate'],
    ['the account’s state', () => '$JS.API.INFO'],
    ['names of streams', () => '$JS.API.STREAM.NAMES'],
    ['the list of streams', () => '$JS.API.STREAM.LIST'],
    ['the stream’s state', () => '$JS.API.STREAM.INFO.TENANTRY_EVENTS'],
    ['a new stream', () => '$JS.API.STREAM.CREATE.MINE'],
    ['a change of the stream', () => '$JS.API.STREAM.UPDATE.TENANTRY_EVENTS'],
    ['the stream’s end', () => '$JS.API.STREAM.DELETE.TENANTRY_EVENTS'],
    ['a purge', () => '$JS.API.STREAM.PURGE.TENANTRY_EVENTS'],
    ['a snapshot', () => '$JS.API.STREAM.SNAPSHOT.TENANTRY_EVENTS'],
    ['a stored message', () => '$JS.API.STREAM.MSG.GET.TENANTRY_EVENTS'],
    ['a message’s removal', () => '$JS.API.STREAM.MSG.DELETE.TENANTRY_EVENTS'],
    ['a direct get', () => '$JS.API.DIRECT.GET.TENANTRY_EVENTS'],
    ['a direct get by subject', () => `$JS.API.DIRECT.GET.TENANTRY_EVENTS.tenantry.events.${b?.id}.tenant.TenantRegistered`],
    ['a new consumer', () => '$JS.API.CONSUMER.CREATE.TENANTRY_EVENTS'],
    ['a new durable consumer', () => '$JS.API.CONSUMER.DURABLE.CREATE.TENANTRY_EVENTS.mine'],
    ['another filter of its own', () => `$JS.API.CONSUMER.CREATE.TENANTRY_EVENTS.${mine.issued.consumers[0]?.name}.tenantry.events.>`],
    ['its own consumer’s state', () => `$JS.API.CONSUMER.INFO.TENANTRY_EVENTS.${mine.issued.consumers[0]?.name}`],
    ['another consumer’s state', () => `$JS.API.CONSUMER.INFO.TENANTRY_EVENTS.${foreign()}`],
    ['names of consumers', () => '$JS.API.CONSUMER.NAMES.TENANTRY_EVENTS'],
    ['the list of consumers', () => '$JS.API.CONSUMER.LIST.TENANTRY_EVENTS'],
    ['another consumer’s end', () => `$JS.API.CONSUMER.DELETE.TENANTRY_EVENTS.${foreign()}`],
    ['flow control', () => '$JS.FC.TENANTRY_EVENTS.x'],
    ['accounts', () => '$SYS.REQ.CLAIMS.UPDATE'],
    ['the server', () => '$SYS.REQ.SERVER.PING'],
    ['another’s inbox', () => `${other.issued.inboxPrefix}.x`],
    ['replies of others', () => '_R_.x.y'],
  ])('does not reach %s', async (_what, subject) => {
    expect(await mine.refuses('publish', subject())).toBe(true);
  });

  it.each([
    ['everything', () => '>'],
    ['every inbox', () => '_INBOX.>'],
    ['another’s inbox', () => `${other.issued.inboxPrefix}.>`],
    ['a process’s inbox', () => '_INBOX_gateway.>'],
    ['events', () => 'tenantry.events.>'],
    ['its own tenant’s events past its consumer', () => `tenantry.events.${a?.id}.>`],
    ['wake-ups', () => 'tenantry.nudge'],
    ['calls', () => 'rpc.>'],
    ['JetStream', () => '$JS.>'],
    ['advisories', () => '$JS.EVENT.>'],
    ['replies of others', () => '_R_.>'],
    ['the system', () => '$SYS.>'],
  ])('does not hear %s', async (_what, subject) => {
    expect(await mine.refuses('subscribe', subject())).toBe(true);
  });

  it('is no better off with another inbox prefix in its client', async () => {
    const { inboxPrefix } = other.issued;
    const twisted = await listen(mine.issued, { inboxPrefix });
    expect(await twisted.refuses('subscribe', `${inboxPrefix}.x`)).toBe(true);
  });

  it.each([
    ['a call', () => 'rpc.identity.gateway.event-subscriptions.create'],
    ['an event', () => `tenantry.events.${a?.id}.tenant.TenantRegistered`],
    ['another’s inbox', () => `${other.issued.inboxPrefix}.stolen`],
    ['a process’s inbox', () => '_INBOX_admin.stolen'],
    ['a wake-up', () => 'tenantry.nudge'],
    ['a purge', () => '$JS.API.STREAM.PURGE.TENANTRY_EVENTS'],
    ['another consumer', () => `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${foreign()}`],
    ['another acknowledgement', () => `$JS.ACK.TENANTRY_EVENTS.${foreign()}.1.1.1.1.0`],
    ['an account', () => '$SYS.REQ.CLAIMS.UPDATE'],
  ])('cannot have its messages delivered as %s', async (_what, reply) => {
    const subject = `$JS.API.CONSUMER.MSG.NEXT.TENANTRY_EVENTS.${mine.issued.consumers[0]?.name}`;
    const heard: string[] = [];
    // Others write meanwhile: what is delivered is an event of this tenant, wherever it goes, and its headers say so.
    const ears = [`tenantry.events.${a?.id}.>`, 'tenantry.nudge', '_INBOX_admin.stolen'].map((ear) =>
      admin.subscribe(ear, {
        callback: (error, message) => void (error ?? (message.headers?.has('ce-id') && heard.push(message.subject))),
      }),
    );
    other.connection.subscribe(`${other.issued.inboxPrefix}.stolen`, {
      callback: (error, message) => void (error ?? heard.push(message.subject)),
    });
    await Promise.all([admin.flush(), other.connection.flush()]);
    const ofTenant = () => api('STREAM.INFO.TENANTRY_EVENTS', { subjects_filter: `tenantry.events.${a?.id}.>` });
    const [stream, consumer] = await Promise.all([ofTenant(), api(`CONSUMER.INFO.TENANTRY_EVENTS.${foreign()}`)]);
    const others = heard.length;
    mine.connection.publish(subject, JSON.stringify({ batch: 5, expires: 200_000_000 }), { reply: reply() });
    await mine.connection.flush();
    await sleep(300);
    expect(heard.slice(others)).toEqual([]);
    const after = await ofTenant();
    expect(Object.keys(stream.state.subjects).length).toBeGreaterThan(1);
    expect(after.state.subjects).toEqual(stream.state.subjects);
    expect(after.state.first_seq).toBe(stream.state.first_seq);
    const same = ({ delivered, ack_floor, num_ack_pending, num_pending }: any) => [
      delivered.stream_seq,
      ack_floor.stream_seq,
      num_ack_pending,
      num_pending,
    ];
    expect(same(await api(`CONSUMER.INFO.TENANTRY_EVENTS.${foreign()}`))).toEqual(same(consumer));
    for (const ear of ears) ear.unsubscribe();
  });

  it('cannot be made by its tenant for another tenant', async () => {
    const as = system.api.as(a!.key);
    const body = { name: 'x', contexts: 'all', from: 'new' };
    expect((await as.post(`/api/tenants/${b?.id}/event-subscriptions`, body)).status).toBe(404);
    expect((await as.post(of.create, { ...body, tenants: [a?.id] })).status).toBe(403);
    const foreignOne = await as.post(`/api/tenants/${a?.id}/event-subscriptions`, { ...body, tenants: [b?.id] });
    expect(foreignOne.status).toBe(422);
    expect(foreignOne.body.errors[0].field).toBe('tenants.0');
    expect((await as.get(`/api/tenants/${a?.id}/event-subscriptions/${other.issued.id}`)).status).toBe(404);
    const listed = (await as.get(`/api/tenants/${a?.id}/event-subscriptions`)).body;
    expect(listed.map(({ id }: { id: string }) => id)).toEqual([mine.issued.id]);
    expect(JSON.stringify(listed)).not.toContain('NKEY SEED');
  });

  it('cannot be made by somebody who may not read events', async () => {
    const { body } = await system.api.post(`${PLATFORM}/api-keys`, { name: 'narrow', permissions: ['event-subscription:create'] });
    const refused = await system.api.as(body.key).post(of.create, { name: 'x', tenants: 'all', contexts: 'all', from: 'new' });
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('event:read');
  });
});

describe('credentials', () => {
  it('are shown once, whatever is asked again', async () => {
    const headers = { 'idempotency-key': unique('key') };
    const body = { name: 'once', tenants: [a?.id], contexts: 'all', from: 'new' };
    const first = await system.api.post(of.create, body, headers);
    const again = await system.api.post(of.create, body, headers);
    expect([first.status, again.status, again.body.code]).toEqual([201, 409, 'idempotency.secret_already_shown']);
    const { body: list } = await system.api.get(of.create);
    expect(list.items.filter(({ id }: { id: string }) => id === first.body.id)).toHaveLength(1);
    const log = JSON.stringify(await system.api.get(`${PLATFORM}/tenants/${a?.id}/events?limit=200`));
    expect(log + JSON.stringify(list)).not.toMatch(/SU[A-Z2-7]{56}|NKEY SEED/);
  });

  it('of before are refused at once after a rotation, and the new ones go on where the others were', async () => {
    const issued = await subscribe({ tenants: [a?.id] });
    const before = await listen(issued);
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
    const { status, body } = await system.api.post(`${of.one(issued.id)}/rotate`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: issued.id, consumers: issued.consumers });
    await before.connection.closed();
    expect(await refusedToConnect(issued)).toBe(true);
    const after = await listen(body);
    const head = await headOf(a!);
    expect(positions(await after.take(head + 1 - taken.length))).toEqual(upTo(head).slice(taken.length));
  });

  it('end with the key that they were issued with; the subscription stays, and others go on where these were', async () => {
    const permissions = ['event-subscription:create', 'event:read'];
    const expiresAt = new Date(Date.now() + 9_000).toISOString();
    const { body: ending } = await system.api.post(`${PLATFORM}/api-keys`, { name: 'contractor', permissions, expiresAt });
    const body = { name: 'ends', tenants: [a?.id], contexts: 'all', from: 'first' };
    const { status, body: issued } = await system.api.as(ending.key).post(of.create, body);
    expect([status, issued.credentialsExpireAt]).toEqual([201, expiresAt]);
    const before = await listen(issued);
    const taken = await before.take(3);
    await before.connection.closed();
    expect(Date.now()).toBeGreaterThan(Date.parse(expiresAt) - 1_000);
    // Within that second the broker lets them in, and out again.
    await eventually(() => refusedToConnect(issued), { timeoutMs: 3_000, what: 'the credentials to be refused' });
    expect((await system.api.get(of.one(issued.id))).body).toMatchObject({ status: 'active', credentialsExpireAt: expiresAt });
    const rotated = (await system.api.post(`${of.one(issued.id)}/rotate`)).body;
    expect(rotated.credentialsExpireAt).toBeNull();
    const after = await listen(rotated);
    const head = await headOf(a!);
    expect(positions(await after.take(head + 1 - taken.length))).toEqual(upTo(head).slice(taken.length));
  });

  it('of two rotations at once work for one only', async () => {
    const issued = await subscribe({ tenants: [a?.id] });
    const replies = await Promise.all([1, 2, 3].map(() => system.api.post(`${of.one(issued.id)}/rotate`)));
    const shown = replies.filter(({ status }) => status === 200).map(({ body }) => body as Issued);
    expect(replies.every(({ status, body }) => status === 200 || body.code === 'event_subscription.superseded')).toBe(true);
    const working = await Promise.all(shown.map(async (one) => !(await refusedToConnect(one))));
    expect(working.filter(Boolean)).toHaveLength(1);
  });
});

describe('a subscription', () => {
  it('delivers nothing while it is paused, and then goes on without a gap', async () => {
    const issued = await subscribe({ tenants: [b?.id] });
    const subscriber = await listen(issued, { reconnect: true });
    const first = await subscriber.take(4);
    expect((await system.api.post(`${of.one(issued.id)}/pause`)).body.status).toBe('paused');
    await change(b!);
    expect(await refusedToConnect(issued)).toBe(false);
    await back(subscriber);
    expect(await subscriber.fetch({ waitMs: 1_000 })).toEqual([]);
    const { body: paused } = await system.api.get(of.one(issued.id));
    expect(paused.lag[0]).toMatchObject({ acknowledged: 3 });
    expect((await system.api.post(`${of.one(issued.id)}/resume`)).body.status).toBe('active');
    const head = await headOf(b!);
    expect(positions(await subscriber.take(head + 1 - first.length))).toEqual(upTo(head).slice(first.length));
  });

  it('is replayed from a position, from an instant and from the first', async () => {
    const issued = await subscribe({ tenants: [b?.id], from: 'new' });
    const subscriber = await listen(issued, { reconnect: true });
    const head = await headOf(b!);
    for (const from of ['first', { positions: { [b!.id]: 0 } }, { time: '2020-01-01T00:00:00Z' }]) {
      expect((await system.api.post(`${of.one(issued.id)}/replay`, { from })).status).toBe(200);
      await back(subscriber);
      expect(positions(await subscriber.take(head + 1))).toEqual(upTo(head));
    }
    const beyond = await system.api.post(`${of.one(issued.id)}/replay`, { from: { positions: { [b!.id]: head + 2 } } });
    expect([beyond.status, beyond.body.errors[0].field]).toEqual([422, `from.positions.${b?.id}`]);
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
      [{ tenants: [a?.id], from: { positions: {} } }, 'from.positions'],
      [{ tenants: [a?.id], from: { positions: { [b!.id]: 0 } } }, `from.positions.${b?.id}`],
      [{ tenants: 'all', name: ' ' }, 'name'],
    ];
    for (const [body, field] of tried) {
      const { status, body: problem } = await system.api.post(of.create, { name: 'test', contexts: 'all', from: 'new', ...body });
      expect([status, problem.errors?.[0]?.field?.startsWith(field)], `${JSON.stringify(body)} → ${JSON.stringify(problem)}`).toEqual([
        422,
        true,
      ]);
    }
  });
});

describe('what was revoked', () => {
  it('stays refused when the broker was killed, and what was not goes on', async () => {
    const [gone, kept] = await Promise.all([subscribe({ tenants: [a?.id] }), subscribe({ tenants: [a?.id] })]);
    const rotated = (await system.api.post(`${of.one(kept.id)}/rotate`)).body as Issued;
    const subscriber = await listen(gone);
    await subscriber.take(1);
    expect((await system.api.delete(of.one(gone.id))).status).toBe(204);
    await subscriber.connection.closed();
    expect(await refusedToConnect(gone)).toBe(true);
    expect((await system.api.delete(of.one(gone.id))).status).toBe(204);
    expect((await system.api.get(of.one(gone.id))).body.status).toBe('revoked');
    expect((await system.api.post(`${of.one(gone.id)}/rotate`)).body.code).toBe('event_subscription.revoked');
    const { consumers } = await api('CONSUMER.NAMES.TENANTRY_EVENTS');
    expect(consumers).not.toContain(gone.consumers[0]?.name);
    expect(consumers).toContain(kept.consumers[0]?.name);

    await kill('nats');
    expect(await refusedToConnect(gone)).toBe(true);
    expect(await refusedToConnect(kept)).toBe(true);
    const head = await headOf(a!);
    expect(positions(await (await listen(rotated)).take(head + 1))).toEqual(upTo(head));
  }, 90_000);
});

describe('a broker that lost its consumers', () => {
  it('gets them again, where they were', async () => {
    const issued = await subscribe({ tenants: [a?.id] });
    const subscriber = await listen(issued);
    const head = await headOf(a!);
    await subscriber.take(head + 1);
    const reached = await eventually(async () => {
      const { delivered, num_ack_pending } = await api(`CONSUMER.INFO.TENANTRY_EVENTS.${issued.consumers[0]?.name}`);
      return num_ack_pending === 0 && delivered.stream_seq;
    });
    await eventually(() => remembered(issued, reached), { timeoutMs: 30_000, what: 'identity to remember how far it has come' });
    await api(`CONSUMER.DELETE.TENANTRY_EVENTS.${issued.consumers[0]?.name}`);
    await change(a!);
    expect(positions(await subscriber.take(1, { timeoutMs: 30_000 }))).toEqual([head + 1]);
  }, 90_000);

  it('gets them again with the stream, and then nothing is missing', async () => {
    const issued = await subscribe({ tenants: [b?.id] });
    const subscriber = await listen(issued, { reconnect: true });
    await subscriber.take(2);
    await api('STREAM.DELETE.TENANTRY_EVENTS');
    await change(b!);
    const head = await headOf(b!);
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
    const [issued, gone] = await Promise.all([subscribe({ tenants: [a?.id], from: 'new' }), subscribe({ tenants: [a?.id] })]);
    expect((await system.api.delete(of.one(gone.id))).status).toBe(204);
    const accounts = join(system.dataDir, 'nats/accounts');
    const fileOf = ({ credentials }: Issued) => {
      const [, payload] = credentials.split('.');
      return join(accounts, `${JSON.parse(Buffer.from(payload as string, 'base64url').toString()).nats.issuer_account}.jwt`);
    };
    await Promise.all([issued, gone].map((one) => rm(fileOf(one))));
    await kill('nats');
    await eventually(async () => !(await refusedToConnect(issued)), { timeoutMs: 60_000, intervalMs: 1_000 });
    expect(await refusedToConnect(gone)).toBe(true);
    await change(a!);
    const head = await headOf(a!);
    expect(positions(await (await listen(issued)).take(1))).toEqual([head]);
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
