import { invalidField } from '@tenantry/contracts/errors';
import type { MoveBody } from '@tenantry/contracts/tenant/routes';
import type { Isolation } from '@tenantry/contracts/values';
import { ownDatabase, placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import { leastFullDatabase, type ServerRoom } from '@tenantry/tenancy/server-choice';
import { DEFAULT_SERVER, sameDatabase } from '@tenantry/tenancy/servers';
import type { z } from 'zod';

type Wanted = Pick<z.infer<typeof MoveBody>, 'isolation' | 'server' | 'database'>;
type Where = Pick<Placement, 'server' | 'database'>;

/** Databases with a place for the level, full or not: shared tables are not in each. */
const holding = (servers: readonly ServerRoom[], isolation: Isolation): Where[] =>
  servers.flatMap(({ name: server, databases }) =>
    databases.filter(({ hasShared }) => isolation === 'dedicated' || hasShared).map(({ name: database }) => ({ server, database })),
  );

/**
 * Where a tenant may be asked to live. What can't be had is refused with the field, never left out.
 * @param tenantId null for many tenants: none of their own databases is meant by one name
 * @param servers those that there are
 * @param prefix of the fields' names. @throws DomainError `request.invalid`
 */
export function refuseUnknownPlace(
  { isolation, server, database }: Wanted,
  tenantId: string | null,
  servers: readonly ServerRoom[],
  prefix = '',
): void {
  const refused = (field: string, rule: string, message: string) => invalidField(`${prefix}${field}`, rule, message);
  const names = servers.map(({ name }) => name);
  if (server !== undefined && !names.includes(server))
    throw refused('server', 'known_server', `there is no server ${server}; there are ${names.sort().join(', ')}`);
  if (isolation === 'isolated') {
    if (database === undefined) return;
    if (tenantId === null) throw refused('database', 'one_tenant', 'each isolated tenant has a database of its own; leave it out');
    const own = ownDatabase(tenantId);
    if (database !== own)
      throw refused('database', 'known_database', `the tenant's own database is ${own}; name that one, or leave it out`);
    return;
  }
  const fit = holding(servers, isolation).filter((place) => server === undefined || place.server === server);
  if (fit.length === 0) throw refused('server', 'takes_level', `${server} has no database for ${isolation} tenants; register one there`);
  if (database === undefined) return;
  const found = fit.filter((place) => place.database === database);
  if (found.length === 0) {
    const known = [...new Set(fit.map((place) => place.database))].sort().join(', ');
    throw refused(
      'database',
      'known_database',
      `${database} is no database for ${isolation} tenants; name one of ${known}, or leave it out`,
    );
  }
  if (found.length > 1) throw refused('server', 'required', `there is a database ${database} on several servers; name the server`);
}

/**
 * What was asked for, as a place. Without a server the tenant stays on the one that it lives on, where that has a place for the level, and in
 * the database that it lives in; else it is the least full one that takes the level.
 * @throws DomainError `request.invalid`
 */
export function wantedPlace(
  wanted: Wanted,
  tenantId: string,
  { servers, lives }: { servers: readonly ServerRoom[]; lives: Where },
): Omit<Placement, 'tenantId' | 'ready' | 'generation' | 'workerGroup'> {
  refuseUnknownPlace(wanted, tenantId, servers);
  const at = wanted.isolation === 'isolated' ? { server: wanted.server ?? lives.server } : sharedDatabase(wanted, servers, lives);
  const { isolation, server, database, schema, appSchema, role } = placementFor(tenantId, wanted.isolation, at);
  return { isolation, server, database, schema, appSchema, role };
}

/** One that has no room is still an answer: whoever takes the room says what is full. */
function sharedDatabase({ isolation, server, database }: Wanted, servers: readonly ServerRoom[], lives: Where): Where {
  const all = holding(servers, isolation);
  if (database !== undefined) return all.find((place) => place.database === database && (server ?? place.server) === place.server) as Where;
  const on = server ?? (all.some((place) => place.server === lives.server) ? lives.server : DEFAULT_SERVER);
  const there = all.filter((place) => place.server === on);
  const stays = there.find((place) => sameDatabase(place, lives));
  if (stays) return stays;
  const free = leastFullDatabase(
    servers.filter(({ name }) => name === on),
    isolation,
  );
  return free?.database ? { server: free.server, database: free.database } : (there[0] as Where);
}
