import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, QueryResult } from 'pg';
import { OWNER } from '../names.js';
import type { PlaceContext } from '../place-context.js';
import type { Placement } from '../placement.js';
import { sameDatabase } from '../servers.js';
import { integer, sqlState, uuidLiteral } from '../sql.js';
import { type Move, onDatabase } from './side.js';

/** How long a closing gate waits for transactions that have begun. Whoever comes meanwhile waits too, in its own process. */
const waitMs = 200;

/** The gate is not there, or is not that of the generation that the caller knows. */
export class OtherGate extends Error {
  constructor(
    { tenantId, generation }: Placement,
    /** What the gate says; null where there is none. */
    readonly found: number | null,
  ) {
    super(`The tenant ${tenantId} has no gate of generation ${generation} in this database: what holds it keeps nobody out`);
  }
}

/**
 * Closes the gate for as long as the session's transaction lasts: nobody comes in any more, and everybody who was in has left when this
 * returns. It opens by itself, when the transaction is over, its session or process dies, or the server ends it after `forMs`.
 * @throws Error 55P03 where somebody stays in for longer; 25P04 from any later query of the session, once the time is over; OtherGate
 */
export const closeGate = (client: Client, place: Placement, forMs: number): Promise<void> =>
  lockGate(
    client,
    place,
    `SET LOCAL transaction_timeout = ${integer(forMs)}; SET LOCAL lock_timeout = ${Math.min(waitMs, forMs)}`,
    'pg_advisory_xact_lock',
  );

/**
 * Nobody can close the gate for as long as the session's transaction lasts, and the tenant lives here. Whoever writes to the place that it is
 * to go to has to know that: a process that was believed dead, or whose commit is still on its way, would let it in there meanwhile.
 * @throws Error 55P03 where the gate is being closed; OtherGate where the tenant has left
 */
export const holdOpen = (client: Client, place: Placement): Promise<void> =>
  lockGate(
    client,
    place,
    `SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = ${waitMs}`,
    'pg_advisory_xact_lock_shared',
  );

/** Does the work while nobody can close the gate, in a session of its own. @throws as `holdOpen`; Error where that session did not last */
export const whileHere = <T>(context: PlaceContext, place: Placement, work: () => Promise<T>): Promise<T> =>
  onDatabase(context, place, async (holder) => {
    await holdOpen(holder, place);
    const result = await work();
    await holder.query('COMMIT');
    return result;
  });

async function lockGate(client: Client, place: Placement, settings: string, lock: string): Promise<void> {
  const { tenantId, generation } = place;
  try {
    // The gate is read by a statement of its own: with a snapshot from after the lock.
    const results = (await client.query(
      `BEGIN ISOLATION LEVEL READ COMMITTED; ${settings};
       SET LOCAL ROLE ${OWNER}; SELECT ${lock}(tenancy.tenant_lock(${uuidLiteral(tenantId)}));
       SELECT generation::text FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(tenantId)}`,
    )) as unknown as QueryResult<{ generation: string }>[];
    const found = results.at(-1)?.rows[0]?.generation;
    if (found !== String(generation)) throw new OtherGate(place, found === undefined ? null : Number(found));
  } catch (error) {
    await letGo(client);
    throw error;
  }
}

/** On a broken connection there is nothing to let go. */
export const letGo = (client: Client): Promise<unknown> => client.query('ROLLBACK').catch(() => undefined);

/**
 * Closes it for a moment, so that whoever is refused looks up where the tenant is on its way to, and prepares connections there. Where
 * somebody stays in it is left open.
 */
export async function knock(client: Client, place: Placement, forMs: number): Promise<void> {
  try {
    await closeGate(client, place, forMs + 2 * waitMs);
  } catch (error) {
    if (sqlState(error) === '55P03') return;
    throw error;
  }
  await sleep(forMs);
  await letGo(client);
}

/** The tenant leaves the place whose gate is closed: from the commit of this on it lives at the target. */
export const leaveSql = ({ from, to }: Move): string =>
  `UPDATE tenancy.tenant_gate SET generation = ${integer(to.generation)}, state = '${sameDatabase(from, to) ? 'open' : 'closed'}'
   WHERE tenant_id = ${uuidLiteral(from.tenantId)} AND generation = ${integer(from.generation)}`;

/** What the gate of the place's database says, whether it is open or not; 0 where it has none of the tenant. */
export async function gateGeneration(client: Client, { tenantId }: Placement): Promise<number> {
  const results = (await client.query(
    `BEGIN; SET LOCAL ROLE ${OWNER}; SELECT generation::text FROM tenancy.tenant_gate WHERE tenant_id = ${uuidLiteral(tenantId)}; COMMIT`,
  )) as unknown as QueryResult<{ generation: string }>[];
  return Number(results[2]?.rows[0]?.generation ?? 0);
}

/** Lets everybody in who knows this generation of the placement. An older one never takes the place of a newer. */
export const openGateSql = ({ tenantId, generation }: Placement, state: 'open' | 'closed' = 'open') =>
  `INSERT INTO tenancy.tenant_gate (tenant_id, generation, state) VALUES (${uuidLiteral(tenantId)}, ${integer(generation)}, '${state}')
   ON CONFLICT (tenant_id) DO UPDATE SET generation = excluded.generation, state = excluded.state
   WHERE tenant_gate.generation <= excluded.generation`;

export async function openGate(client: Client, place: Placement, state: 'open' | 'closed' = 'open'): Promise<void> {
  try {
    await client.query(`BEGIN; SET LOCAL ROLE ${OWNER}; ${openGateSql(place, state)}; COMMIT`);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
