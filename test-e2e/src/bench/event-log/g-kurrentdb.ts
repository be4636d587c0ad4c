/**
 * Parts a and b (`g`) and d (`gd`) where KurrentDB decides the logs, beside the client's own `appendToStream` on the same server: 64 callers on
 * 64 streams, and one caller on one stream (more than one at a time would refuse each other). The follower that copies to PostgreSQL runs all
 * the while, in a thread of its own. Beside it part a on PostgreSQL. Needs a server: TENANTRY_TEST_KURRENTDB_URL.
 */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { jsonEvent } from '@eventstore/db-client';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { connectKurrentDb } from '@tenantry/event-store/adapters/kurrentdb/connection';
import { KurrentDbEventStore } from '@tenantry/event-store/adapters/kurrentdb/kurrentdb-event-store';
import { type LogEvent, proposed } from '@tenantry/event-store/adapters/kurrentdb/recorded';
import { Server } from '@tenantry/event-store/adapters/kurrentdb/server';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import type { AppendCommand } from '@tenantry/event-store/port';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import pg from 'pg';
import { counter, next } from './b-hot-tenant.js';
import { type BenchContext, median, type Part, percentile, round, spread } from './bench.js';
import { OFFERED, projecting } from './d-projecting.js';
import { type Driven, drive, offer } from './drive.js';
import { appendCommand } from './payload.js';

const CALLERS = 64;
const url = process.env['TENANTRY_TEST_KURRENTDB_URL'];

const whereNamed =
  (measure: (bench: BenchContext, server: string) => Promise<Part>) =>
  async (bench: BenchContext): Promise<Part | null> => {
    if (url) return measure(bench, url);
    bench.log('skipped: TENANTRY_TEST_KURRENTDB_URL names no server');
    return null;
  };

/** Parts a and b. */
export const part = whereNamed((bench, server) => appends(bench, server));

/** Part d. In a database of its own: what the others wrote is not vacuumed meanwhile. */
export const visiblePart = whereNamed(async (bench, server) => {
  const visible = await projecting(bench, async (stack, nudge) => (await openLog(bench, server, stack, nudge)).store);
  const bareAppend = await offeredBare(bench, server);
  bench.log(`appendToStream at ${OFFERED}/s, nothing else: p50 ${bareAppend.p50Ms} ms, p99 ${bareAppend.p99Ms} ms`);
  return { ...visible, bareAppend };
});

/** What of part d's time is the server's own: the client's append alone, as often, to as many streams. */
async function offeredBare({ tenants, quick }: BenchContext, server: string) {
  await using stack = new AsyncDisposableStack();
  const client = stack.adopt(connectKurrentDb(server, 'bench-bare'), (open) => open.dispose());
  const name = randomUUID();
  const eachMs: number[] = [];
  const last = new Map<string, Promise<bigint>>();
  const appendNext = async (tenant: string, before: Promise<bigint>): Promise<bigint> => {
    const at = await before;
    await client.appendToStream(`bench-${name}-${tenant}`, [asSent(appendCommand(tenant, name, Number(at)))], {
      expectedRevision: at < 0n ? 'no_stream' : at,
    });
    return at + 1n;
  };
  await offer(OFFERED, quick ? 2_000 : 20_000, async (dueMs) => {
    const tenant = tenants[Math.floor(Math.random() * tenants.length)] as string;
    const appended = appendNext(tenant, last.get(tenant) ?? Promise.resolve(-1n));
    last.set(tenant, appended);
    await appended;
    eachMs.push(performance.now() - dueMs);
  });
  return spread(eachMs);
}

/** A store, and a follower that begins at the end of what the server has. */
async function openLog(
  { postgres }: BenchContext,
  server: string,
  stack: AsyncDisposableStack,
  onCopied: (tenants: string[]) => void = () => undefined,
) {
  const connect = (name: string) => stack.adopt(connectKurrentDb(server, name), (client) => client.dispose());
  const pool = (of: string) => stack.adopt(new pg.Pool({ connectionString: of, max: 10 }), (open) => open.end());
  const client = connect('bench');
  const end = await new Server(client, { timeoutMs: 5_000 }).end();
  const owner = pool(postgres.url);
  await owner.query('UPDATE log.copier SET owner = NULL, commit_position = $1, prepare_position = $2, copied_id = NULL', [
    String(end?.commit ?? 0),
    String(end?.prepare ?? 0),
  ]);
  const follower = new Worker(new URL('./g-follower.js', import.meta.url), { workerData: { kurrentDb: server, postgres: postgres.url } });
  follower.on('message', onCopied);
  stack.defer(async () => {
    const ended = once(follower, 'exit');
    follower.postMessage('stop');
    await ended;
  });
  return { store: new KurrentDbEventStore(client, pool(postgres.serviceUrl)), client };
}

async function appends(bench: BenchContext, server: string): Promise<Part> {
  const { postgres, tenants, quick, log } = bench;
  const roundMs = quick ? 500 : 5_000;
  const rounds = quick ? 1 : 3;
  await using stack = new AsyncDisposableStack();
  const { store } = await openLog(bench, server, stack);
  // With the client's own defaults, and nothing of ours.
  const client = stack.adopt(connectKurrentDb(server, 'bench-bare'), (open) => open.dispose());
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.serviceUrl, max: 10 }), (open) => open.end());
  const postgresStore = new PostgresEventStore(pool);
  const tenantLog = new DefaultTenantLog(store, new MemoryKeyring());
  const tenantOf = (of: readonly string[], caller: number) => of[caller % of.length] as string;
  const bare = (stream: string, n: number) =>
    client.appendToStream(stream, [asSent(appendCommand(tenants[0] as string, stream, n - 1))], {
      expectedRevision: n === 0 ? 'no_stream' : BigInt(n - 1),
    });

  const measured = { ours: [] as Driven[], bare: [] as Driven[], hot: [] as Driven[], loop: [] as Driven[], postgres: [] as Driven[] };
  for (let n = -1; n < rounds; n++) {
    const forMs = n < 0 ? roundMs / 5 : roundMs;
    // New logs in every round, as PostgreSQL's copy of the one before may still grow.
    const name = randomUUID();
    const own = tenants.map(() => randomUUID());
    const hot = randomUUID();
    const sides: Record<keyof typeof measured, () => Promise<Driven>> = {
      ours: () => drive(CALLERS, forMs, (caller, at) => store.append(appendCommand(tenantOf(own, caller), `${name}-${caller}`, at - 1))),
      bare: () => drive(CALLERS, forMs, (caller, at) => bare(`bench-${name}-${caller}`, at)),
      hot: () =>
        drive(CALLERS, forMs, () =>
          tenantLog.transact(counter, { tenant: hot, command: { id: randomUUID(), actor: { kind: 'service', id: 'bench' } } }, next),
        ),
      loop: () => drive(1, forMs, (_, at) => bare(`bench-${name}-loop`, at)),
      postgres: () =>
        drive(CALLERS, forMs, (caller, at) => postgresStore.append(appendCommand(tenantOf(tenants, caller), `${name}-${caller}`, at - 1))),
    };
    for (const side of Object.keys(sides) as (keyof typeof measured)[]) {
      const driven = await sides[side]();
      if (n >= 0) measured[side].push(driven);
      // Until what it wrote is copied: else the next side would pay for it.
      if (side === 'ours' || side === 'hot') await copied(store, side === 'hot' ? [hot] : own);
      await sleep(100);
    }
  }
  const rate = (side: keyof typeof measured) => round(median(measured[side].map(({ perSecond }) => perSecond)));
  const rates = { ours: rate('ours'), bare: rate('bare'), hot: rate('hot'), loop: rate('loop'), postgres: rate('postgres') };
  const ratios = {
    kurrentdb: round(rates.ours / rates.bare, 2),
    hotTenant: round(rates.hot / rates.loop, 2),
    postgres: round(rates.postgres / rates.bare, 2),
  };
  log(
    `appends/s of ${CALLERS} callers over ${tenants.length} tenants: ours ${rates.ours}, appendToStream ${rates.bare} (${ratios.kurrentdb} ×)`,
  );
  log(`commands/s on one stream of one tenant: ours ${rates.hot}, appendToStream in a loop ${rates.loop} (${ratios.hotTenant} ×)`);
  log(`the same appends on PostgreSQL: ${rates.postgres}, of the bare client's ${ratios.postgres} ×`);
  const of = (side: keyof typeof measured) => measured[side].flatMap(({ eachMs }) => eachMs);
  return {
    ours: rates.ours,
    reference: rates.bare,
    ratio: ratios.kurrentdb,
    references: { kurrentdb: rates.bare, loop: rates.loop },
    ratios,
    ...spread(of('ours')),
    hotPerSecond: rates.hot,
    hotP99Ms: round(percentile(of('hot'), 0.99), 1),
    postgresPerSecond: rates.postgres,
  };
}

/** Waits until the copy has everything of these logs. */
async function copied(store: KurrentDbEventStore, tenantIds: string[]): Promise<void> {
  for (const tenantId of tenantIds) await store.heads({ tenantIds: [tenantId] });
}

/** The event of a command as the adapter would send it: the same bytes on both sides. */
function asSent({ tenantId, stream, commandId, requestHmac, expectedVersion, events }: AppendCommand) {
  const event = events[0] as AppendCommand['events'][number];
  const position = expectedVersion + 1;
  const whole: LogEvent = {
    event: {
      ...event,
      tenantId,
      stream,
      position,
      streamVersion: position,
      recordedAt: new Date().toISOString(),
      leaf: event.bodyHash,
      previousInContext: null,
    },
    command: { id: commandId, requestHmac, firstPosition: position, lastPosition: position },
  };
  const { id, type, metadata } = proposed(whole);
  return jsonEvent({ id, type, data: event.data as Record<string, unknown>, metadata: JSON.parse(new TextDecoder().decode(metadata)) });
}
