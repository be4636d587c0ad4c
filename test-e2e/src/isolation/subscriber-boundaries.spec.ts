import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../harness/api.js';
import { brokerAdmin } from '../harness/broker.js';
import type { Subscriber } from '../harness/subscriber.js';
import { Subscriptions, subscriptionPaths, type TenantWithKey } from '../harness/subscriptions.js';
import { sharedSystem } from '../harness/system.js';
import { PLATFORM } from '../harness/tenants.js';

let api: Api;
let subscriptions: Subscriptions;
let a: TenantWithKey;
let b: TenantWithKey;
/** In the platform's account: what another system's subscriber must never reach. */
let admin: NatsConnection;

const state = async (of: string, body?: unknown): Promise<any> =>
  (await admin.request(`$JS.API.${of}`, body === undefined ? '' : JSON.stringify(body), { timeout: 5_000 })).json();

beforeAll(async () => {
  const system = await sharedSystem();
  ({ api } = system);
  subscriptions = new Subscriptions(api);
  [a, b] = await Promise.all([subscriptions.tenant(), subscriptions.tenant()]);
  admin = await brokerAdmin(system.dataDir, system.run.natsUrl);
}, 60_000);
afterAll(() => Promise.all([subscriptions?.close(), admin?.close()]));

describe('a subscriber for one tenant', () => {
  let mine: Subscriber;
  let other: Subscriber;
  beforeAll(async () => {
    const created = await api.as(a.key).post(`/api/tenants/${a.id}/event-subscriptions`, { name: 'own', contexts: 'all', from: 'first' });
    expect(created.status).toBe(201);
    const { nats_url: natsUrl, inbox_prefix: inboxPrefix, consumers, ...rest } = created.body;
    const named = consumers.map((one: any) => ({ name: one.name, filterSubject: one.filter_subject }));
    mine = await subscriptions.listen({ ...rest, natsUrl, inboxPrefix, consumers: named });
    other = await subscriptions.listen(await subscriptions.make({ tenants: [b.id] }));
  });

  it('reads its own', async () => {
    const got = await mine.fetch();
    expect(got.length).toBeGreaterThan(5);
    expect(new Set(got.map(({ tenantId }) => tenantId))).toEqual(new Set([a.id]));
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
    ['events', () => `tenantry.events.${a.id}.tenant.TenantRegistered`],
    ['another tenant’s events', () => `tenantry.events.${b.id}.tenant.TenantRegistered`],
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
    ['a direct get by subject', () => `$JS.API.DIRECT.GET.TENANTRY_EVENTS.tenantry.events.${b.id}.tenant.TenantRegistered`],
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
    ['its own tenant’s events past its consumer', () => `tenantry.events.${a.id}.>`],
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
    const twisted = await subscriptions.listen(mine.issued, { inboxPrefix });
    expect(await twisted.refuses('subscribe', `${inboxPrefix}.x`)).toBe(true);
  });

  it.each([
    ['a call', () => 'rpc.identity.gateway.event-subscriptions.create'],
    ['an event', () => `tenantry.events.${a.id}.tenant.TenantRegistered`],
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
    const ears = [`tenantry.events.${a.id}.>`, 'tenantry.nudge', '_INBOX_admin.stolen'].map((ear) =>
      admin.subscribe(ear, {
        callback: (error, message) => void (error ?? (message.headers?.has('ce-id') && heard.push(message.subject))),
      }),
    );
    other.connection.subscribe(`${other.issued.inboxPrefix}.stolen`, {
      callback: (error, message) => void (error ?? heard.push(message.subject)),
    });
    await Promise.all([admin.flush(), other.connection.flush()]);
    const ofTenant = () => state('STREAM.INFO.TENANTRY_EVENTS', { subjects_filter: `tenantry.events.${a.id}.>` });
    const [stream, consumer] = await Promise.all([ofTenant(), state(`CONSUMER.INFO.TENANTRY_EVENTS.${foreign()}`)]);
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
    expect(same(await state(`CONSUMER.INFO.TENANTRY_EVENTS.${foreign()}`))).toEqual(same(consumer));
    for (const ear of ears) ear.unsubscribe();
  });

  it('cannot be made by its tenant for another tenant', async () => {
    const as = api.as(a.key);
    const body = { name: 'x', contexts: 'all', from: 'new' };
    expect((await as.post(`/api/tenants/${b.id}/event-subscriptions`, body)).status).toBe(404);
    expect((await as.post(subscriptionPaths.create, { ...body, tenants: [a.id] })).status).toBe(403);
    const foreignOne = await as.post(`/api/tenants/${a.id}/event-subscriptions`, { ...body, tenants: [b.id] });
    expect(foreignOne.status).toBe(422);
    expect(foreignOne.body.errors[0].field).toBe('tenants.0');
    expect((await as.get(`/api/tenants/${a.id}/event-subscriptions/${other.issued.id}`)).status).toBe(404);
    const listed = (await as.get(`/api/tenants/${a.id}/event-subscriptions`)).body;
    expect(listed.map(({ id }: { id: string }) => id)).toEqual([mine.issued.id]);
    expect(JSON.stringify(listed)).not.toContain('NKEY SEED');
  });

  it('cannot be made by somebody who may not read events', async () => {
    const { body } = await api.post(`${PLATFORM}/api-keys`, { name: 'narrow', permissions: ['event-subscription:create'] });
    const refused = await api.as(body.key).post(subscriptionPaths.create, { name: 'x', tenants: 'all', contexts: 'all', from: 'new' });
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('event:read');
  });
});
