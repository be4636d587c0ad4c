import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, QueryResult } from 'pg';
import { OWNER } from '../names.js';
import type { Placement } from '../placement.js';
import { integer, sqlState, uuidLiteral } from '../sql.js';

/** How long a fence waits for transactions that have begun. Whoever comes meanwhile waits too, in its own process. */
const waitMs = 250;
const tries = 40;

/**
 * Closes the gate: nobody comes in any more, and everybody who was in has left when this returns. Where somebody stays in for longer it
 * lets the others through for a while and tries again, so that nobody waits for long. @throws Error (55P03) after many tries; where there is no such gate
 */
export async function closeGate(client: Client, { tenantId, generation }: Placement): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      const results = (await client.query(
        `BEGIN; SET LOCAL ROLE ${OWNER}; SET LOCAL lock_timeout = ${waitMs};
         SELECT pg_advisory_xact_lock(tenancy.tenant_lock(${uuidLiteral(tenantId)}));
         UPDATE tenancy.tenant_gate SET state = 'closed' WHERE tenant_id = ${uuidLiteral(tenantId)} AND generation = ${integer(generation)}; COMMIT`,
      )) as unknown as QueryResult[];
      if (results.find(({ command }) => command === 'UPDATE')?.rowCount !== 1)
        throw new Error(`The tenant ${tenantId} has no gate of generation ${generation} in this database: closing it keeps nobody out`);
      return;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      if (sqlState(error) !== '55P03' || tried === tries) throw error;
      await sleep(200 + Math.random() * 300);
    }
  }
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
