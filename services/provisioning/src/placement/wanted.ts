import { invalidField } from '@tenantry/contracts/errors';
import type { MoveBody } from '@tenantry/contracts/tenant/routes';
import { CONTROL_PLANE_DATABASE, placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import { DEFAULT_SERVER } from '@tenantry/tenancy/servers';
import type { z } from 'zod';

type Wanted = Pick<z.infer<typeof MoveBody>, 'isolation' | 'server' | 'database'>;

/**
 * Where a tenant may be asked to live. What can't be had is refused with the field, never left out.
 * @param tenantId null for many tenants: none of their own databases is meant by one name
 * @param servers those that there are
 * @param prefix of the fields' names. @throws DomainError `request.invalid`
 */
export function refuseUnknownPlace(
  { isolation, server, database }: Wanted,
  tenantId: string | null,
  servers: ReadonlySet<string>,
  prefix = '',
): void {
  if (server !== undefined && !servers.has(server))
    throw invalidField(`${prefix}server`, 'known_server', `there is no server ${server}; there are ${[...servers].sort().join(', ')}`);
  if (server !== undefined && server !== DEFAULT_SERVER && isolation !== 'isolated')
    throw invalidField(
      `${prefix}server`,
      'takes_level',
      `${server} takes tenants with a database of their own; ${isolation} ones live on ${DEFAULT_SERVER}`,
    );
  if (database === undefined) return;
  if (isolation !== 'isolated') {
    if (database !== CONTROL_PLANE_DATABASE)
      throw invalidField(
        `${prefix}database`,
        'known_database',
        `${isolation} tenants live in the database ${CONTROL_PLANE_DATABASE}; leave it out`,
      );
  } else if (tenantId === null) {
    throw invalidField(`${prefix}database`, 'one_tenant', 'each isolated tenant has a database of its own; leave it out');
  } else {
    const own = placementFor(tenantId, isolation).database;
    if (database !== own)
      throw invalidField(`${prefix}database`, 'known_database', `the tenant's own database is ${own}; name that one, or leave it out`);
  }
}

/**
 * What was asked for, as a place. Without a server, a database of its own stays on the server that the tenant lives on.
 * @throws DomainError `request.invalid`
 */
export function wantedPlace(
  wanted: Wanted,
  tenantId: string,
  { servers, livesOn }: { servers: ReadonlySet<string>; livesOn: string },
): Omit<Placement, 'tenantId' | 'ready' | 'generation' | 'workerGroup'> {
  refuseUnknownPlace(wanted, tenantId, servers);
  const on = wanted.server ?? (wanted.isolation === 'isolated' ? livesOn : DEFAULT_SERVER);
  const { isolation, server, database, schema, appSchema, role } = placementFor(tenantId, wanted.isolation, { server: on });
  return { isolation, server, database, schema, appSchema, role };
}
