import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Consumers } from './consumers.js';

let server: RunningNats;
let nats: NatsConnection;
let consumers: Consumers;
beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  consumers = new Consumers(nats);
}, 30_000);
afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

/** A server that does not know an option, and says nothing of it. */
const ignoring = (option: string): Consumers => {
  const request = (subject: string, body: string, options: { timeout: number }) => {
    const text = subject.includes('CONSUMER.DURABLE.CREATE')
      ? JSON.stringify(JSON.parse(body), (key, value) => (key === option ? undefined : value))
      : body;
    return nats.request(subject, text, options);
  };
  return new Consumers({ request } as unknown as NatsConnection);
};

it('says that there is no stream yet', async () => {
  expect(await consumers.created()).toBeNull();
  await expect(consumers.list()).rejects.toMatchObject({
    code: 'event_subscription.broker_unavailable',
    detail: expect.stringContaining('no stream'),
  });
});

it('makes, finds, lists and ends a consumer', async () => {
  await nats.request(
    '$JS.API.STREAM.CREATE.TENANTRY_EVENTS',
    JSON.stringify({ name: 'TENANTRY_EVENTS', subjects: ['tenantry.events.>'], storage: 'memory' }),
  );
  for (const tenant of ['a', 'b', 'a']) await nats.request(`tenantry.events.${tenant}.tenant.X`, '{}');
  const made = await consumers.create('one', 'label', 'tenantry.events.a.>', { policy: 'all' });
  expect(made).toMatchObject({ name: 'one', label: 'label', filterSubject: 'tenantry.events.a.>', delivered: 0, pending: 2 });
  expect(await consumers.find('one')).toMatchObject({ label: 'label' });
  expect((await consumers.create('two', 'label', 'tenantry.events.a.>', { policy: 'new' })).delivered).toBe(3);
  const time = new Date(Date.now() - 60_000).toISOString();
  expect((await consumers.create('three', 'label', 'tenantry.events.a.>', { policy: 'by_start_time', time })).pending).toBe(2);
  expect((await consumers.create('four', 'label', 'tenantry.events.a.>', { policy: 'by_start_sequence', seq: 2 })).pending).toBe(1);
  expect((await consumers.list()).map(({ name }) => name).sort()).toEqual(['four', 'one', 'three', 'two']);
  expect((await consumers.nextMessage('tenantry.events.a.>', 2))?.seq).toBe(3);
  expect(await consumers.nextMessage('tenantry.events.b.>', 3)).toBeNull();
  await consumers.remove('one');
  await consumers.remove('one');
  expect(await consumers.find('one')).toBeNull();
});

it.each(['filter_subject', 'ack_policy', 'max_batch', 'max_waiting'])(
  'leaves nothing behind where the server ignores %s',
  async (option) => {
    await expect(ignoring(option).create('loose', 'label', 'tenantry.events.a.>', { policy: 'all' })).rejects.toMatchObject({
      code: 'event_subscription.broker_unavailable',
      // A pull consumer without acknowledgements is refused at once.
      detail: expect.stringMatching(option === 'ack_policy' ? /refused|ack_policy/ : option),
    });
    expect(await consumers.find('loose')).toBeNull();
  },
);
