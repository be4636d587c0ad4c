/**
 * Appends, publishes and projects events in one process for as long as it may, and says now and then how much memory that takes:
 * one JSON object a line, `{events, rssMb, heapMb}`. Arguments: Postgres' URL, NATS' URL, events, seconds.
 */

import { newId } from '@tenantry/contracts/ids';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { connectNats } from '@tenantry/messaging/nats';
import { PostgresRunnerStorage } from '@tenantry/messaging/postgres-storage';
import { Runner } from '@tenantry/messaging/runner';
import { SystemScheduler } from '@tenantry/messaging/scheduler';
import { NatsWakeUps } from '@tenantry/messaging/wake-ups';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { openRelay } from '../bench/event-log/open-relay.js';
import { change, itemsOf, latestOf, prepareReadModels, schema, tenantLatestOf } from '../bench/event-log/read-models.js';

const [postgresUrl = '', natsUrl = '', events = '0', seconds = '0'] = process.argv.slice(2);
const perCommand = 50;
const lanes = 8;

const mb = (bytes: number) => Math.round(bytes / 1024 / 1024);
const say = (done: number) => {
  // What is left after a collection is what is held on to.
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ events: done, rssMb: mb(rss), heapMb: mb(heapUsed) })}\n`);
};

await using stack = new AsyncDisposableStack();
const models = await prepareReadModels(postgresUrl, stack);
const store = new PostgresEventStore(stack.adopt(new pg.Pool({ connectionString: postgresUrl, max: 4 }), (pool) => pool.end()));
const nats = stack.adopt(await connectNats({ url: natsUrl, process: 'memory', logger: silentLogger }), (open) => open.close());
store.onAppended = (tenants) => nats.publish('tenantry.nudge', JSON.stringify({ tenants }));
const relay = await openRelay(models.pool, store, nats);
await relay.start();
stack.defer(() => relay.stop());
const runner = new Runner({
  service: 'bench',
  storage: new PostgresRunnerStorage(models.pool, schema, models.tenants),
  store,
  scheduler: new SystemScheduler(),
  logger: silentLogger,
  projections: [latestOf(), itemsOf(), tenantLatestOf],
  processes: [],
  wakeUps: new NatsWakeUps(nats, silentLogger),
});
await runner.start();
stack.defer(() => runner.stop());

const tenantIds = Array.from({ length: 40 }, newId);
for (const tenantId of tenantIds) await models.tenants.place(tenantId);
await Promise.all(tenantIds.map((tenantId) => store.append(change(tenantId, 'TenantRegistered'))));

const total = Number(events);
const untilMs = performance.now() + Number(seconds) * 1_000;
let appended = 0;
let said = 0;
const projected = async () =>
  Number((await models.pool.query<{ n: string }>(`SELECT coalesce(sum(count), 0) AS n FROM ${schema}.latest`)).rows[0]?.n ?? 0);
const lane = async (nth: number) => {
  for (let n = nth; appended < total && performance.now() < untilMs; n += lanes) {
    appended += perCommand;
    await store.append(change(tenantIds[n % tenantIds.length] as string, 'TenantUpdated', perCommand));
    if (appended - said < total / 100) continue;
    said = appended;
    // What is not projected yet is a backlog in the database, not in memory; a little of it at a time makes the run end in time.
    await eventually(async () => appended - (await projected()) < 20_000, { timeoutMs: 120_000, intervalMs: 20 });
    say(appended);
  }
};
await Promise.all(Array.from({ length: lanes }, (_, nth) => lane(nth)));
await eventually(async () => (await projected()) >= appended, { timeoutMs: 120_000, intervalMs: 100 });
await eventually(() => relay.measure().waiting === 0, { timeoutMs: 120_000, intervalMs: 100 });
say(appended);
