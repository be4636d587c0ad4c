/**
 * One tenant, one stream, 64 callers: ours through `TenantLog.transact` (decide on the stream's state, encrypt, append), beside
 * a loop that commits every append to that tenant by itself, through the same `log.append()` (`loop`), and beside a bare
 * `INSERT` of the next row of one table that is committed each time (`bare`).
 */

import { randomUUID } from 'node:crypto';
import { type EventOf, event, events } from '@tenantry/contracts/events';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { aggregate } from '@tenantry/event-store/aggregate';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { z } from 'zod';
import { type BenchContext, median, type Part, Pools, round, spread } from './bench.js';
import { drive } from './drive.js';
import { appendCommand, payload } from './payload.js';

const CONNECTIONS = 10;

const benchEvents = events('tenant', {
  BenchHappened: event({
    version: 1,
    summary: 'A benchmark appended something',
    data: z.object({ orderId: z.string(), plan: z.string(), seats: z.number(), note: z.string() }),
  }),
});
export const counter = aggregate({
  stream: 'hot',
  events: benchEvents,
  initial: { count: 0 },
  evolve: (state) => ({ count: state.count + 1 }),
});
export const next = (state: { count: number }): EventOf<typeof benchEvents>[] => [{ type: 'BenchHappened', data: payload(state.count) }];

export async function part({ postgres, quick, log }: BenchContext): Promise<Part> {
  const roundMs = quick ? 500 : 5_000;
  const rounds = quick ? 1 : 3;
  await using pools = new Pools();
  const tenantLog = new DefaultTenantLog(new PostgresEventStore(pools.open(postgres.serviceUrl, CONNECTIONS)), new MemoryKeyring());
  const single = new PostgresEventStore(pools.open(postgres.serviceUrl, CONNECTIONS));
  const bare = pools.open(postgres.url, CONNECTIONS);
  await bare.query(
    'CREATE TABLE bench_hot (tenant_id uuid, version bigint, id uuid NOT NULL, type text NOT NULL, data jsonb NOT NULL, PRIMARY KEY (tenant_id, version))',
  );
  const command = () => ({ id: randomUUID(), actor: { kind: 'service' as const, id: 'bench' } });
  const measured = { ours: [] as number[], loop: [] as number[], bare: [] as number[] };
  const eachMs: number[] = [];
  for (let n = -1; n < rounds; n++) {
    const forMs = n < 0 ? roundMs / 5 : roundMs;
    const tenant = randomUUID();
    const ours = await drive(64, forMs, () => tenantLog.transact(counter, { tenant, command: command() }, next));
    const { version } = await tenantLog.load(counter, { tenant });
    if (version + 1 !== ours.eachMs.length) throw new Error(`${ours.eachMs.length} commands left ${version + 1} events`);
    // One caller: each append is committed before the next one starts, as without groups it must be on one log.
    const loopTenant = randomUUID();
    const loop = await drive(1, forMs, (_, index) => single.append(appendCommand(loopTenant, 'hot', index - 1)));
    const inserts = await drive(1, forMs, (_, index) =>
      bare.query({
        name: 'bare_hot',
        text: 'INSERT INTO bench_hot VALUES ($1, $2, $3, $4, $5)',
        values: [loopTenant, index, randomUUID(), 'BenchHappened', JSON.stringify(payload(index))],
      }),
    );
    if (n < 0) continue;
    measured.ours.push(ours.perSecond);
    measured.loop.push(loop.perSecond);
    measured.bare.push(inserts.perSecond);
    eachMs.push(...ours.eachMs);
  }
  const [ours, loop, inserts] = [round(median(measured.ours)), round(median(measured.loop)), round(median(measured.bare))];
  const ratios = { loop: round(ours / loop, 2), bare: round(ours / inserts, 2) };
  log(
    `commands/s on one stream of one tenant: ours ${ours}, one commit per append ${loop} (${ratios.loop} ×), bare INSERT ${inserts} (${ratios.bare} ×)`,
  );
  return {
    ours,
    reference: loop,
    ratio: ratios.loop,
    references: { loop, bare: inserts },
    ratios,
    ...spread(eachMs),
    connections: CONNECTIONS,
  };
}
