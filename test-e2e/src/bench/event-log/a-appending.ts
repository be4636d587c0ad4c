/**
 * 64 callers append one event each, again and again, to streams of 50 tenants: ours through `EventStore.append`, Emmett
 * through `appendToStream` with the expected version, and a bare `INSERT` into a table with a primary key that is committed
 * each time. Same payload, same server, pools of the same size; they take turns, the median of the rounds counts.
 */

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { type BenchContext, median, type Part, Pools, round, spread } from './bench.js';
import { type Driven, drive } from './drive.js';
import { emmettStore } from './emmett.js';
import { appendCommand, payload } from './payload.js';

const CALLERS = 64;
const CONNECTIONS = 10;

/** One append of caller `caller`, its `n`-th. */
type Append = (caller: number, n: number) => Promise<unknown>;

export async function part({ postgres, tenants, quick, log }: BenchContext): Promise<Part> {
  const roundMs = quick ? 500 : 5_000;
  const rounds = quick ? 1 : 3;
  await using pools = new Pools();
  const tenantOf = (caller: number) => tenants[caller % tenants.length] as string;
  const store = new PostgresEventStore(pools.open(postgres.serviceUrl, CONNECTIONS));
  const emmett = await emmettStore(postgres.url, pools.open(postgres.url, CONNECTIONS));
  const bare = pools.open(postgres.url, CONNECTIONS);
  await bare.query(
    'CREATE TABLE bench_bare (id uuid PRIMARY KEY, tenant_id uuid NOT NULL, stream text NOT NULL, version bigint NOT NULL, type text NOT NULL, data jsonb NOT NULL)',
  );

  // New streams in every round, so that each side always does the same work.
  const sides = (): Record<'ours' | 'emmett' | 'bare', Append> => {
    const name = randomUUID();
    return {
      ours: (caller, n) => store.append(appendCommand(tenantOf(caller), `${name}-${caller}`, n - 1)),
      emmett: (caller, n) =>
        emmett.appendToStream(`${tenantOf(caller)}-${name}-${caller}`, [{ type: 'BenchHappened', data: payload(n) }], {
          expectedStreamVersion: BigInt(n),
        }),
      bare: (caller, n) =>
        bare.query({
          name: 'bare_insert',
          text: 'INSERT INTO bench_bare VALUES ($1, $2, $3, $4, $5, $6)',
          values: [randomUUID(), tenantOf(caller), `${name}-${caller}`, n, 'BenchHappened', JSON.stringify(payload(n))],
        }),
    };
  };
  const measured = { ours: [] as Driven[], emmett: [] as Driven[], bare: [] as Driven[] };
  for (let n = -1; n < rounds; n++) {
    const round = sides();
    for (const side of ['ours', 'emmett', 'bare'] as const) {
      const result = await drive(CALLERS, n < 0 ? roundMs / 5 : roundMs, round[side]);
      if (n >= 0) measured[side].push(result);
      await sleep(100);
    }
  }
  const rate = (side: keyof typeof measured) => round(median(measured[side].map(({ perSecond }) => perSecond)));
  const [ours, emmettRate, bareRate] = [rate('ours'), rate('emmett'), rate('bare')];
  const ratios = { emmett: round(ours / emmettRate, 2), bare: round(ours / bareRate, 2) };
  log(
    `appends/s of ${CALLERS} callers over ${tenants.length} tenants: ours ${ours}, Emmett ${emmettRate} (${ratios.emmett} ×), bare INSERT ${bareRate} (${ratios.bare} ×)`,
  );
  const eachMs = measured.ours.flatMap((result) => result.eachMs);
  return {
    ours,
    reference: emmettRate,
    ratio: ratios.emmett,
    references: { emmett: emmettRate, bare: bareRate },
    ratios,
    ...spread(eachMs),
    connections: CONNECTIONS,
  };
}
