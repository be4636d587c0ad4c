import { invalidField } from '@tenantry/contracts/errors';
import type { MoveBody } from '@tenantry/contracts/tenant/routes';
import { CONTROL_PLANE_DATABASE, placementFor } from '@tenantry/tenancy/names';
import type { Placement } from '@tenantry/tenancy/placement';
import type { z } from 'zod';

type Wanted = Pick<z.infer<typeof MoveBody>, 'isolation' | 'server' | 'database'>;

/**
 * Where a tenant may be asked to live. What can't be had is refused with the field, never left out.
 * @param tenantId null for many tenants: none of their own databases is meant by one name
 * @param prefix of the fields' names. @throws DomainError `request.invalid`
 */
export function refuseUnknownPlace({ isolation, server, database }: Wanted, tenantId: string | null, prefix = ''): void {
  if (server !== undefined && server !== 'default')
    throw invalidField(`${prefix}server`, 'known_server', `there is no server ${server}; tenants live on the server default`);
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

/** What was asked for, as a place. @throws DomainError `request.invalid` */
export function wantedPlace(wanted: Wanted, tenantId: string): Omit<Placement, 'tenantId' | 'ready' | 'generation' | 'workerGroup'> {
  refuseUnknownPlace(wanted, tenantId);
  const { isolation, server, database, schema, appSchema, role } = placementFor(tenantId, wanted.isolation);
  return { isolation, server, database, schema, appSchema, role };
}
