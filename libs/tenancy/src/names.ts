import { tenantKey } from '@tenantry/contracts/ids';
import type { Isolation } from '@tenantry/contracts/values';
import type { Placement } from './placement.js';

export const CONTROL_PLANE_DATABASE = 'tenantry';
/** Owns every platform schema and every tenant's tables; nobody logs in as it. */
export const OWNER = 'tenantry_owner';
/** Owns the operator's product tables and nothing else: blueprints run as it. The schemas stay the owner's. */
export const APP_OWNER = 'tenantry_app_owner';
/** Name among the passwords, and the login that the operator's SQL runs with: see migrations/every-database/0061_app_sessions.sql. */
export const BLUEPRINTS = 'blueprints';
export const BLUEPRINT_LOGIN = 'tenantry_blueprints';
/** Group of all service logins: may read placements and enter tenants. */
export const SERVICES = 'tenantry_services';
/** Tenant roles are granted to a bucket, and the bucket to the logins: one grant per tenant, whatever the number of services. */
export const BUCKET = 'tenantry_bucket_0';
/** Group for the logins of the operator's product: may find tenants and enter them, and nothing else of the platform. */
export const PRODUCT = 'tenantry_product';
export const SHARED_ROLE = 'tenantry_shared';
export const SHARED_SCHEMA = 'shared';
export const SHARED_APP_SCHEMA = 'app_shared';
/** Of the shared tables of a further database: whoever serves that database may become it, and nobody else. */
export const sharedRole = (database: string): string => `${SHARED_ROLE}_${database}`;

/** `quota-metering` has the login `tenantry_quota_metering` and the schema `quota_metering`. */
export const serviceSchema = (service: string): string => service.replaceAll('-', '_');
export const serviceLogin = (service: string): string => `tenantry_${serviceSchema(service)}`;

const OWN = 'tenantry_t_';
/** Of an isolated tenant. */
export const ownDatabase = (tenantId: string): string => `${OWN}${tenantKey(tenantId)}`;
export const isOwnDatabase = (database: string): boolean => database.startsWith(OWN);

/** Where a new tenant of that level goes. Not ready yet. @param database of those that many tenants share; an isolated one has its own */
export function placementFor(
  tenantId: string,
  isolation: Isolation,
  {
    server = 'default',
    database = CONTROL_PLANE_DATABASE,
    generation = 1,
    workerGroup = 'shared',
  }: Partial<Pick<Placement, 'server' | 'database' | 'generation' | 'workerGroup'>> = {},
): Placement {
  const key = tenantKey(tenantId);
  const isHome = server === 'default' && database === CONTROL_PLANE_DATABASE;
  const where =
    isolation === 'shared'
      ? { database, schema: SHARED_SCHEMA, appSchema: SHARED_APP_SCHEMA, role: isHome ? SHARED_ROLE : sharedRole(database) }
      : {
          database: isolation === 'isolated' ? ownDatabase(tenantId) : database,
          schema: `t_${key}`,
          appSchema: `app_${key}`,
          role: `t_${key}`,
        };
  return { tenantId, isolation, server, ...where, generation, workerGroup, ready: false };
}
