/**
 * How fast a relay gets a backlog out: from the logs in PostgreSQL to acknowledged by JetStream and written down. The reference publishes
 * the same messages, subjects and headers included, from memory, with the same client and as many under way, and writes nothing down.
 */

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { headersOf, messageIdOf, subjectOf } from '@tenantry/messaging/cloud-event';
import { ensureEventStream, eventStream } from '@tenantry/messaging/event-stream';
import { connectNats } from '@tenantry/messaging/nats';
import { silentLogger } from '@tenantry/observability/logger';
import { startNats } from '@tenantry/testing/nats';
import pg from 'pg';
import { type BenchContext, median, type Part, round } from './bench.js';
import { openRelay } from './open-relay.js';
import { appendCommand } from './payload.js';

const perCommand = 50;
const underWay = 512;
const patienceMs = 120_000;

export async function part({ postgres, quick, log }: BenchContext): Promise<Part> {
  const logs = 50;
  const perLog = quick ? 100 : 1_000;
  const runs = quick ? 1 : 5;
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNats());
  const connection = stack.adopt(await connectNats({ url: nats.url, process: 'bench', logger: silentLogger }), (open) => open.close());
  const logPool = stack.adopt(new pg.Pool({ connectionString: postgres.serviceUrl, max: 4 }), (open) => open.end());
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.url, max: 4 }), (open) => open.end());
  const store = new PostgresEventStore(logPool);
  const manager = await jetstreamManager(connection);
  const freshStream = async () => {
    await manager.streams.delete(eventStream).catch(() => log('  no stream yet'));
    await ensureEventStream(connection, 1);
  };

  const tenantIds = Array.from({ length: logs }, newId);
  await Promise.all(
    tenantIds.map(async (tenantId) => {
      for (let n = 0; n < perLog; n += perCommand) await store.append(appendCommand(tenantId, 'orders', n - 1, perCommand));
    }),
  );
  const total = logs * perLog;

  const writtenDown = async () => {
    const { rows } = await pool.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM relay.published WHERE tenant_id = ANY ($1::uuid[]) AND position = $2',
      [tenantIds, perLog - 1],
    );
    return rows[0]?.n ?? 0;
  };
  const relayed = async () => {
    await freshStream();
    const relay = await openRelay(pool, store, connection);
    const began = performance.now();
    await relay.start();
    // What goes out a second time is counted too, so its count alone doesn't say that it is done.
    let done = 0;
    while (done < logs) {
      if (performance.now() - began > patienceMs)
        throw new Error(
          `only ${done} of ${logs} logs are written down as published after ${patienceMs} ms: ${JSON.stringify(relay.measure())}`,
        );
      await new Promise((resolve) => setTimeout(resolve, relay.measure().published < total ? 5 : 20));
      if (relay.measure().published >= total) done = await writtenDown();
    }
    const seconds = (performance.now() - began) / 1_000;
    await relay.stop();
    const again = relay.measure().published - total;
    if (again > 0) log(`  ${again} messages went out a second time`);
    const { messages } = (await manager.streams.info(eventStream)).state;
    if (messages !== total) throw new Error(`the stream holds ${messages} messages instead of ${total}`);
    return total / seconds;
  };

  const ready: { subject: string; body: Uint8Array; msgID: string; headers: MsgHdrs }[] = [];
  const encoder = new TextEncoder();
  for (const tenantId of tenantIds) {
    for (const event of (await store.readLog(tenantId, 0, { limit: perLog })).events) {
      const body = encoder.encode(JSON.stringify(event.data));
      const all = headers();
      for (const [name, value] of headersOf(event)) all.set(name, value);
      ready.push({ subject: subjectOf(event), body, msgID: messageIdOf(event), headers: all });
    }
  }
  const bare = async () => {
    await freshStream();
    const client = jetstream(connection, { timeout: 5_000 });
    let next = 0;
    const publish = async () => {
      for (let message = ready[next++]; message; message = ready[next++]) {
        await client.publish(message.subject, message.body, { msgID: message.msgID, headers: message.headers });
      }
    };
    const began = performance.now();
    await Promise.all(Array.from({ length: underWay }, publish));
    return total / ((performance.now() - began) / 1_000);
  };

  const [ours, references]: [number[], number[]] = [[], []];
  for (let run = 1; run <= runs; run++) {
    references.push(await bare());
    ours.push(await relayed());
    log(`  run ${run}: relay ${round(ours.at(-1) ?? 0)}/s, bare ${round(references.at(-1) ?? 0)}/s`);
  }
  const [rate, reference] = [median(ours), median(references)];
  return {
    ours: round(rate),
    reference: round(reference),
    ratio: round(rate / reference, 2),
    references: { nats: round(reference) },
    ratios: { nats: round(rate / reference, 2) },
    events: total,
    logs,
  };
}
