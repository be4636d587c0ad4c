import { DomainError } from '@tenantry/contracts/errors';
import { fences } from '@tenantry/contracts/stores/stores';
import type { Pool } from 'pg';
import { sha256 } from './migration-files.js';
import { literal, sqlState } from './sql.js';

const TRIGGER = 'erased';
const REFUSED = 'TN410';
/** A writer that is frozen in its transaction is ended by the server sooner. */
const WAIT_MS = 20_000;
const LOOK_AGAIN_MS = 20;

/** A trigger on each table from which the rows of an erased tenant go, as the registry of stores says. May run again. */
export const fenceStatements = (): string[] =>
  fences.map(({ table, fence: { late, column, updates, when }, empty }) => {
    const argument = late === 'empty' ? literal(JSON.stringify(empty)) : column === undefined ? '' : literal(column);
    return `CREATE OR REPLACE TRIGGER ${TRIGGER} BEFORE INSERT${updates ? ' OR UPDATE' : ''} ON ${table} FOR EACH ROW
      ${when === undefined ? '' : `WHEN (${when})`} EXECUTE FUNCTION tenancy.${late}_erased(${argument})`;
  });

/** Changes with the triggers. */
export const fenceVersion = (): string => sha256(fenceStatements().join(';\n'));

/** Whether the database has refused a row because its tenant was erased. */
export const isOfErased = (error: unknown): boolean =>
  sqlState(error) === REFUSED || (error instanceof Error && error.cause !== undefined && isOfErased(error.cause));

/**
 * From when this resolves on, no row of the tenant is written any more, by whomever: one that is written after the mark is refused or left
 * out, and those who wrote when it was set have ended, so that their rows are found. Idempotent.
 * @throws DomainError `erasure.incomplete` where somebody writes for longer than any statement may take
 */
export async function keepOut(pool: Pool, tenantId: string, operationId: string): Promise<void> {
  await pool.query('INSERT INTO tenancy.erased (tenant_id, operation_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [tenantId, operationId]);
  let writers = await writersOf(pool, null);
  for (const untilMs = performance.now() + WAIT_MS; writers.length > 0; writers = await writersOf(pool, writers)) {
    if (performance.now() > untilMs)
      throw new DomainError('erasure.incomplete', { detail: 'Somebody who may write rows of the tenant has not ended yet' });
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** Transactions that write to a table with the trigger, this moment; of `among` only. */
async function writersOf(pool: Pool, among: string[] | null): Promise<string[]> {
  const { rows } = await pool.query<{ writer: string }>(
    `SELECT DISTINCT l.virtualtransaction AS writer FROM pg_locks l
     JOIN pg_trigger t ON t.tgrelid = l.relation AND t.tgname = '${TRIGGER}'
     WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND ($1::text[] IS NULL OR l.virtualtransaction = ANY ($1))`,
    [among],
  );
  return rows.map(({ writer }) => writer);
}
