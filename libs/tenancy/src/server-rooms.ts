import { DomainError } from '@tenantry/contracts/errors';
import type { Isolation } from '@tenantry/contracts/values';
import type { ClientBase, Pool } from 'pg';
import { onPool } from './place-context.js';
import type { Placement } from './placement.js';
import { type ChosenPlace, choosePlace, hasRoom, type ServerRoom } from './server-choice.js';
import { DEFAULT_SERVER, sameDatabase } from './servers.js';

type Where = Pick<Placement, 'isolation' | 'server' | 'database'>;

const countedIn = (table: string, condition: string) =>
  `CASE WHEN $1 THEN (SELECT count(*)::int FROM tenancy.${table} p WHERE ${condition}) ELSE 0 END`;
const rooms = `SELECT s.name, s.region, s.capacity, ${countedIn('server_places', 'p.server = s.name')} AS tenants,
    coalesce((SELECT json_agg(json_build_object('name', d.name, 'capacity', d.capacity, 'accepts', d.accepts, 'hasShared', d.shared_ready,
        'tenants', ${countedIn('database_places', 'p.server = d.server AND p.database = d.name')}) ORDER BY d.name)
      FROM tenancy.databases d WHERE d.server = s.name AND d.ready), '[]') AS databases
  FROM tenancy.servers s WHERE s.ready ORDER BY s.name`;
const mine = `SELECT s.server, d.database FROM tenancy.server_places s
  LEFT JOIN tenancy.database_places d ON d.tenant_id = s.tenant_id AND d.server = s.server WHERE s.tenant_id = $1 LIMIT 1`;

/** Servers and their databases with what room there is. */
export const readRooms = async (client: ClientBase | Pool, counted = true): Promise<ServerRoom[]> =>
  (await client.query<ServerRoom>(rooms, [counted])).rows;

/**
 * The server for a new tenant, and the database where it shares one; its room there is taken with the answer; a repetition gets the same.
 * @throws DomainError `placement.no_room`
 */
export async function takeRoom(pool: Pool, tenantId: string, wish: { region: string; isolation: Isolation }): Promise<ChosenPlace> {
  const [servers, taken] = await Promise.all([readRooms(pool, false), takenBy(pool, tenantId, wish.isolation)]);
  if (taken) return taken;
  // The usual case: there is nothing to count and nothing to wait for.
  const all = [...servers, ...servers.flatMap(({ databases }) => databases)];
  const only = all.length === 2 && all.every(({ capacity }) => capacity === null) ? choosePlace(servers, wish) : null;
  if (only) {
    await note(pool, tenantId, only);
    return only;
  }
  return onPool(pool, (client) =>
    oneAtATime(client, async (counted) => {
      const before = await takenBy(client, tenantId, wish.isolation);
      if (before) return before;
      const chosen = choosePlace(counted, wish);
      if (!chosen) throw noRoom(`There is no room for ${wish.isolation} tenants in the region ${wish.region}`);
      await note(client, tenantId, chosen);
      return chosen;
    }),
  );
}

async function takenBy(client: ClientBase | Pool, tenantId: string, isolation: Isolation): Promise<ChosenPlace | null> {
  const [found] = (await client.query<ChosenPlace>(mine, [tenantId])).rows;
  if (!found) return null;
  if (isolation === 'isolated') return { server: found.server, database: null };
  return found.database === null ? null : found;
}

/** Room at that very place, for a tenant that is to move there. What it has already, it needn't take. @throws DomainError `placement.no_room` */
export async function takeRoomAt(pool: Pool, tenantId: string, to: Where): Promise<void> {
  await onPool(pool, (client) =>
    oneAtATime(client, async (servers) => {
      const { rows } = await client.query<{ server: boolean; database: boolean }>(
        `SELECT EXISTS (SELECT FROM tenancy.server_places WHERE tenant_id = $1 AND server = $2) AS server,
                EXISTS (SELECT FROM tenancy.database_places WHERE tenant_id = $1 AND server = $2 AND database = $3) AS database`,
        [tenantId, to.server, to.database],
      );
      refuseFull(servers, to, rows[0]!);
      await note(client, tenantId, { server: to.server, database: to.isolation === 'isolated' ? null : to.database });
    }),
  );
}

/** @param has what of it the tenant has already. @throws DomainError `placement.no_room` that names what is full */
export function refuseFull(
  servers: readonly ServerRoom[],
  { isolation, server, database }: Where,
  has: { server: boolean; database: boolean },
): void {
  const room = servers.find(({ name }) => name === server);
  if (!has.server && !(room && hasRoom(room))) throw noRoom(`The server ${server} has no room for another tenant`);
  if (isolation === 'isolated' || has.database) return;
  const inside = room?.databases.find(({ name }) => name === database);
  if (!(inside && hasRoom(inside) && inside.accepts.includes(isolation)))
    throw noRoom(`The database ${database} on ${server} has no room for another ${isolation} tenant`);
}

/** Nothing of the tenant is at that place any more, or was ever made there. @param stays where it lives: that room is kept */
export async function giveBackRoom(pool: Pool, { tenantId, ...gone }: Placement, stays: Where): Promise<void> {
  if (gone.isolation !== 'isolated' && !(stays.isolation !== 'isolated' && sameDatabase(gone, stays)))
    await pool.query('DELETE FROM tenancy.database_places WHERE tenant_id = $1 AND server = $2 AND database = $3', [
      tenantId,
      gone.server,
      gone.database,
    ]);
  if (gone.server !== stays.server)
    await pool.query('DELETE FROM tenancy.server_places WHERE tenant_id = $1 AND server = $2', [tenantId, gone.server]);
}

/** The tenant has no place at all. */
export async function giveBackAllRoom(pool: Pool, tenantId: string): Promise<void> {
  await pool.query(
    'WITH databases AS (DELETE FROM tenancy.database_places WHERE tenant_id = $1) DELETE FROM tenancy.server_places WHERE tenant_id = $1',
    [tenantId],
  );
}

const noRoom = (detail: string) =>
  new DomainError('placement.no_room', {
    detail: `${detail}: raise a capacity, register another server or database, or ask for another region.`,
  });

const note = (client: ClientBase | Pool, tenantId: string, { server, database }: ChosenPlace) =>
  client.query(
    `WITH databases AS (
       INSERT INTO tenancy.database_places (tenant_id, server, database) SELECT $1::uuid, $2::varchar, $3::varchar WHERE $3::varchar IS NOT NULL ON CONFLICT DO NOTHING)
     INSERT INTO tenancy.server_places (tenant_id, server) VALUES ($1::uuid, $2::varchar) ON CONFLICT DO NOTHING`,
    [tenantId, server, database],
  );

/**
 * What was counted holds until the transaction is over: whoever takes room waits for whoever took it before. Not for those who make places
 * meanwhile, whose rows refer to the server's.
 */
async function oneAtATime<T>(client: ClientBase, work: (servers: ServerRoom[]) => Promise<T>): Promise<T> {
  await client.query(`BEGIN; SELECT FROM tenancy.servers WHERE name = '${DEFAULT_SERVER}' FOR NO KEY UPDATE`);
  try {
    const servers = await readRooms(client);
    const result = await work(servers);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
