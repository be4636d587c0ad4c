import type pg from 'pg';
import { inOneMessage, onPool, type PlaceContext } from './place-context.js';
import type { Placement } from './placement.js';
import { bucketOf, DEFAULT_SERVER, onServer } from './servers.js';
import { identifier, literal } from './sql.js';

const FEW_SPARE_ROLES = 16;
const MORE_SPARE_ROLES = 48;
const preparing = new WeakMap<pg.Pool, Map<string, Promise<unknown>>>();

/** Roles ahead of need, once at a time for each bucket. @param left how many there still are */
export async function prepareRoles(pool: pg.Pool, bucket: string, left: number): Promise<void> {
  if (left >= FEW_SPARE_ROLES) return;
  const underWay = preparing.get(pool) ?? new Map<string, Promise<unknown>>();
  preparing.set(pool, underWay);
  let running = underWay.get(bucket);
  if (!running) {
    running = pool.query('SELECT tenancy.prepare_roles($1, $2)', [MORE_SPARE_ROLES, bucket]).finally(() => underWay.delete(bucket));
    underWay.set(bucket, running);
  }
  await running;
}

const exists = (role: string) => `EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)})`;

/**
 * The tenant's role on the placement's server, for those who serve the placement's database. One that exists is the tenant's own, from
 * another level or database, or from an earlier attempt.
 */
export async function makeRole(context: PlaceContext, place: Pick<Placement, 'server' | 'database' | 'role'>): Promise<void> {
  const bucket = bucketOf(place);
  const role = identifier(place.role);
  const grant = `GRANT ${role} TO ${identifier(bucket)} WITH INHERIT FALSE, SET TRUE`;
  // One at a time: of two that make or change one role at once, PostgreSQL refuses the second.
  const alone = `SELECT pg_advisory_xact_lock(hashtextextended(${literal(place.role)}, 4714))`;
  if (place.server !== DEFAULT_SERVER) {
    await onServer(context, place.server, (client) =>
      inOneMessage(client, `${alone}; DO $do$ BEGIN IF NOT ${exists(place.role)} THEN CREATE ROLE ${role}; END IF; END $do$; ${grant}`),
    );
    return;
  }
  const spare = await onPool(context.pool, async (client) => {
    try {
      await client.query(`BEGIN; ${alone}`);
      const { rows } = await client.query<{ spare: number | null }>(
        `SELECT CASE WHEN NOT ${exists(place.role)} THEN tenancy.take_role($1, $2) END AS spare`,
        [place.role, bucket],
      );
      const left = rows[0]?.spare ?? null;
      if (left === null) await client.query(grant);
      await client.query('COMMIT');
      return left;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  });
  if (spare !== null) await prepareRoles(context.pool, bucket, spare);
}

/** Nothing may be left that the role has rights to. */
export async function dropRole(context: PlaceContext, { server, role }: Pick<Placement, 'server' | 'role'>): Promise<void> {
  await onServer(context, server, (client) => client.query(`DROP ROLE IF EXISTS ${identifier(role)}`));
}

/** Who serves that database has no business with the tenant any more. */
export async function leaveBucket(context: PlaceContext, place: Pick<Placement, 'server' | 'database' | 'role'>): Promise<void> {
  await onServer(context, place.server, (client) =>
    client.query(
      `DO $do$ BEGIN IF ${exists(place.role)} THEN REVOKE ${identifier(place.role)} FROM ${identifier(bucketOf(place))}; END IF; END $do$`,
    ),
  );
}
