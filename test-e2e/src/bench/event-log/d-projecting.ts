/**
 * From the call of an append to the row that a reader sees: append, nudge, relay, wake-up over NATS, runner, commit. 200 appends a second
 * over 50 tenants, at random moments. A reader asks every 2 ms. Once for rows in the service's own schema, once for rows in the tenants'.
 * The reference is the ideal: all that was offered, at once.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import type { EventStore } from '@tenantry/event-store/port';
import { connectNats } from '@tenantry/messaging/nats';
import { PostgresRunnerStorage } from '@tenantry/messaging/postgres-storage';
import type { Projection } from '@tenantry/messaging/projection';
import { Runner } from '@tenantry/messaging/runner';
import { SystemScheduler } from '@tenantry/messaging/scheduler';
import { NatsWakeUps } from '@tenantry/messaging/wake-ups';
import { silentLogger } from '@tenantry/observability/logger';
import { startNats } from '@tenantry/testing/nats';
import pg from 'pg';
import { type BenchContext, type Part, percentile, round } from './bench.js';
import { offer } from './drive.js';
import { openRelay } from './open-relay.js';
import { change, latestOf, prepareReadModels, schema, tenantLatestOf } from './read-models.js';

/** Appends a second. */
export const OFFERED = 200;

export const part = (bench: BenchContext): Promise<Part> =>
  projecting(bench, async (stack, nudge) => {
    const pool = stack.adopt(new pg.Pool({ connectionString: bench.postgres.serviceUrl, max: 4 }), (open) => open.end());
    const store = new PostgresEventStore(pool);
    store.onAppended = nudge;
    return store;
  });

/** The same for any store: `nudge` is to be called with the logs that grew, as soon as the relay can read what is new. */
export async function projecting(
  { postgres, quick, log }: BenchContext,
  open: (stack: AsyncDisposableStack, nudge: (tenants: string[]) => void) => Promise<EventStore>,
): Promise<Part> {
  const seconds = quick ? 2 : 20;
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNats());
  const models = await prepareReadModels(postgres.url, stack);
  const connect = async () =>
    stack.adopt(await connectNats({ url: nats.url, process: 'bench', logger: silentLogger }), (open) => open.close());
  const [publishing, listening] = [await connect(), await connect()];
  const store = await open(stack, (tenants) => publishing.publish('tenantry.nudge', JSON.stringify({ tenants })));
  const relay = await openRelay(models.pool, store, publishing);
  await relay.start();
  stack.defer(() => relay.stop());

  const tenantIds = Array.from({ length: 50 }, newId);
  for (const tenantId of tenantIds) await models.tenants.place(tenantId);
  await Promise.all(tenantIds.map((tenantId) => store.append(change(tenantId, 'TenantRegistered'))));

  // What the preparations wrote goes to the disk now: else its flushes meet the first appends.
  await models.pool.query('CHECKPOINT');
  const measure = async (projection: Projection, seen: () => Promise<Map<string, number>>) => {
    const runner = new Runner({
      service: 'bench',
      storage: new PostgresRunnerStorage(models.pool, schema, models.tenants),
      store,
      scheduler: new SystemScheduler(),
      logger: silentLogger,
      projections: [projection],
      processes: [],
      wakeUps: new NatsWakeUps(listening, silentLogger),
    });
    await runner.start();
    try {
      await latencies(store, tenantIds, quick ? 1 : 3, seen);
      return await latencies(store, tenantIds, seconds, seen);
    } finally {
      await runner.stop();
    }
  };
  const own = await measure(latestOf(), async () =>
    positionsOf(await models.pool.query({ name: 'own', text: `SELECT tenant_id, position FROM ${schema}.latest` })),
  );
  const told = (one: typeof own) =>
    `p50 ${one.p50Ms} ms, p99 ${one.p99Ms} ms (the append alone ${one.appendP50Ms} and ${one.appendP99Ms}), ${one.rate}/s of ${OFFERED}/s`;
  log(`visible in the service's own schema: ${told(own)}`);
  const all = tenantIds.map((id) => `SELECT tenant_id, position FROM t_${id.replaceAll('-', '')}.bench_latest`).join(' UNION ALL ');
  const tenant = await measure(tenantLatestOf, async () => positionsOf(await models.pool.query({ name: 'tenants', text: all })));
  log(`visible in the tenants' schemas: ${told(tenant)}`);
  // The worse one counts.
  const worse = own.p99Ms > tenant.p99Ms ? own : tenant;
  const ratio = round(worse.rate / OFFERED, 2);
  return {
    ours: worse.rate,
    reference: OFFERED,
    ratio,
    references: { loop: OFFERED },
    ratios: { loop: ratio },
    p50Ms: worse.p50Ms,
    p99Ms: worse.p99Ms,
    own,
    tenant,
  };
}

const positionsOf = ({ rows }: { rows: { tenant_id: string; position: number }[] }) =>
  new Map(rows.map((row) => [row.tenant_id, row.position]));

async function latencies(store: EventStore, tenantIds: string[], seconds: number, seen: () => Promise<Map<string, number>>) {
  const waiting = new Map<string, { position: number; begunMs: number }[]>(tenantIds.map((id) => [id, []]));
  const took: number[] = [];
  /** How long the append alone took. */
  const appending: number[] = [];
  let open = 0;
  let offering = true;
  const appendOne = async (tenantId: string, begunMs: number) => {
    const { events } = await store.append(change(tenantId, 'TenantUpdated'));
    appending.push(performance.now() - begunMs);
    waiting.get(tenantId)?.push({ position: events[0]?.position ?? 0, begunMs });
  };
  const begun = performance.now();
  const offered = async () => {
    await offer(OFFERED, seconds * 1_000, (dueMs) => {
      open += 1;
      return appendOne(tenantIds[Math.floor(Math.random() * tenantIds.length)] as string, dueMs);
    });
    offering = false;
  };
  const watch = async () => {
    while (offering || open > 0) {
      const positions = await seen();
      const nowMs = performance.now();
      for (const [tenantId, list] of waiting) {
        const position = positions.get(tenantId) ?? -1;
        const visible = list.filter((each) => each.position <= position);
        if (visible.length === 0) continue;
        for (const { begunMs } of visible) took.push(nowMs - begunMs);
        open -= visible.length;
        waiting.set(
          tenantId,
          list.filter((each) => each.position > position),
        );
      }
      if (!offering && nowMs - begun > seconds * 1_000 + 30_000) throw new Error(`${open} appends were not visible after 30 s`);
      await sleep(2);
    }
  };
  await Promise.all([offered(), watch()]);
  const rate = round(took.length / ((performance.now() - begun) / 1_000), 1);
  return {
    rate,
    p50Ms: round(percentile(took, 0.5), 1),
    p99Ms: round(percentile(took, 0.99), 1),
    maxMs: round(Math.max(...took), 1),
    appendP50Ms: round(percentile(appending, 0.5), 1),
    appendP99Ms: round(percentile(appending, 0.99), 1),
    appends: took.length,
  };
}
