import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { silentLogger } from '@tenantry/observability/logger';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventStream } from './event-stream.js';
import { JetStreamBroker } from './jetstream-broker.js';

let server: RunningNats;
let [ours, theirs]: NatsConnection[] = [];
beforeAll(async () => {
  server = await startNats();
  [ours, theirs] = await Promise.all([connect({ servers: server.url }), connect({ servers: server.url })]);
}, 30_000);
afterAll(async () => {
  await Promise.all([ours?.close(), theirs?.close()]);
  await server?.stop();
});

it('makes the stream again that somebody ends when the server is done with it: it keeps what it takes', async () => {
  const broker = new JetStreamBroker({ nats: ours!, logger: silentLogger, replicas: 1, publishTimeoutMs: 2_000, inboxPrefix: '_INBOX' });
  const [manager, client] = [await jetstreamManager(theirs!), jetstream(theirs!)];
  const publish = (count: number) =>
    Promise.all(Array.from({ length: count }, () => client.publish('tenantry.events.x', new Uint8Array(600))));
  await broker.ensureStream();
  for (let round = 0; round < 3; round++) {
    await publish(300);
    for (let n = 0; n < 8; n++) await manager.consumers.add(eventStream, { durable_name: `c${n}`, ack_policy: 'explicit' });
    // As a relay that looks at that very moment.
    const anew = (async () => {
      while ((await broker.state()) !== null);
      return broker.ensureStream();
    })();
    await manager.streams.delete(eventStream);
    expect(await anew).toMatchObject({ lastSequence: 0 });
    await publish(10);
    expect(await manager.streams.getMessage(eventStream, { seq: 1 })).not.toBeNull();
  }
}, 30_000);
