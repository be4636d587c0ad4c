import { DomainError } from '@tenantry/contracts/errors';
import type { Isolation } from '@tenantry/contracts/values';
import type { ClientBase, Pool } from 'pg';
import { onPool } from './place-context.js';
import { chooseServer, hasRoom, type ServerRoom } from './server-choice.js';
import { DEFAULT_SERVER } from './servers.js';

const rooms = `SELECT name, region, capacity, url IS NULL AS "isDefault",
  CASE WHEN $1 THEN (SELECT count(*)::int FROM tenancy.server_places p WHERE p.server = s.name) ELSE 0 END AS tenants
  FROM tenancy.servers s WHERE ready ORDER BY name`;

/**
 * The server for a new tenant, whose room there is taken with the answer; a repetition gets the same.
 * @throws DomainError `placement.no_room`
 */
export async function takeRoom(pool: Pool, tenantId: string, wish: { region: string; isolation: Isolation }): Promise<string> {
  const found = await pool.query<ServerRoom & { mine: string | null }>(
    `SELECT s.*, (SELECT server FROM tenancy.server_places WHERE tenant_id = $2 LIMIT 1) AS mine FROM (${rooms}) s`,
    [false, tenantId],
  );
  const [first, ...others] = found.rows;
  if (first?.mine) return first.mine;
  // The usual case: there is nothing to count and nothing to wait for.
  if (first && others.length === 0 && first.capacity === null && chooseServer([first], wish) === first.name) {
    await note(pool, tenantId, first.name);
    return first.name;
  }
  return onPool(pool, (client) =>
    oneAtATime(client, async (servers) => {
      const { rows } = await client.query<{ server: string }>('SELECT server FROM tenancy.server_places WHERE tenant_id = $1 LIMIT 1', [
        tenantId,
      ]);
      if (rows[0]) return rows[0].server;
      const server = chooseServer(servers, wish);
      if (server === null) throw noRoom(`No server has room for ${wish.isolation} tenants in the region ${wish.region}`);
      await note(client, tenantId, server);
      return server;
    }),
  );
}

/** Room on that very server, for a tenant that is to move there. @throws DomainError `placement.no_room` */
export async function takeRoomOn(pool: Pool, tenantId: string, server: string): Promise<void> {
  await onPool(pool, (client) =>
    oneAtATime(client, async (servers) => {
      const { rowCount } = await client.query('SELECT FROM tenancy.server_places WHERE tenant_id = $1 AND server = $2', [tenantId, server]);
      if (rowCount) return;
      const room = servers.find(({ name }) => name === server);
      if (!room || !hasRoom(room)) throw noRoom(`The server ${server} has no room for another tenant`);
      await note(client, tenantId, server);
    }),
  );
}

/**
 * Whether there is room now for a tenant that is to move there: a refusal up front. Room itself is taken when the move begins.
 * @throws DomainError `placement.no_room`
 */
export async function refuseFullServer(pool: Pool, tenantId: string, server: string): Promise<void> {
  const { rows } = await pool.query<{ capacity: number | null; tenants: number; mine: boolean }>(
    `SELECT s.capacity, (SELECT count(*)::int FROM tenancy.server_places p WHERE p.server = s.name) AS tenants,
       EXISTS (SELECT FROM tenancy.server_places p WHERE p.server = s.name AND p.tenant_id = $2) AS mine
     FROM tenancy.servers s WHERE s.name = $1`,
    [server, tenantId],
  );
  if (rows[0] && !rows[0].mine && !hasRoom(rows[0])) throw noRoom(`The server ${server} has no room for another tenant`);
}

/** Nothing of the tenant is on the server any more, or was ever made there. */
export async function giveBackRoom(pool: Pool, tenantId: string, server: string): Promise<void> {
  await pool.query('DELETE FROM tenancy.server_places WHERE tenant_id = $1 AND server = $2', [tenantId, server]);
}

/** The tenant has no place at all. */
export async function giveBackAllRoom(pool: Pool, tenantId: string): Promise<void> {
  await pool.query('DELETE FROM tenancy.server_places WHERE tenant_id = $1', [tenantId]);
}

const noRoom = (detail: string) =>
  new DomainError('placement.no_room', { detail: `${detail}: raise a server's capacity, register another, or ask for another region.` });

const note = (client: ClientBase | Pool, tenantId: string, server: string) =>
  client.query('INSERT INTO tenancy.server_places (tenant_id, server) VALUES ($1, $2) ON CONFLICT DO NOTHING', [tenantId, server]);

/**
 * What was counted holds until the transaction is over: whoever takes room waits for whoever took it before. Not for those who make places
 * meanwhile, whose rows refer to the server's.
 */
async function oneAtATime<T>(client: ClientBase, work: (servers: ServerRoom[]) => Promise<T>): Promise<T> {
  await client.query(`BEGIN; SELECT FROM tenancy.servers WHERE name = '${DEFAULT_SERVER}' FOR NO KEY UPDATE`);
  try {
    const { rows } = await client.query<ServerRoom>(rooms, [true]);
    const result = await work(rows);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
