import { rewrapMasterKey } from '@tenantry/contracts/identity/key-routes';
import { startCampaign } from '@tenantry/contracts/platform/blueprints';
import { type BulkSettings, bulkPermissions, startBulkOperation } from '@tenantry/contracts/platform/bulk';
import { rebuildProjection } from '@tenantry/contracts/platform/consumers';
import { requestIsolationCheck } from '@tenantry/contracts/platform/isolation';
import type { Route } from '@tenantry/contracts/route';
import { deleteTenant } from '@tenantry/contracts/tenant/lifecycle-routes';
import { createTenant, moveTenant } from '@tenantry/contracts/tenant/routes';

const startedBy = ({ permission }: Pick<Route, 'permission'>): string[] => (permission === null ? [] : [permission]);
const bulk = Object.entries(bulkPermissions).map(([action, permission]) => [
  `bulk.${action}`,
  [...startedBy(startBulkOperation), permission],
]);

/** By the type of an operation: what the command needs that starts it, and so whoever cancels, retries, pauses or resumes it. */
export const operationPermissions: Readonly<Record<string, readonly string[]>> = {
  provisioning: startedBy(createTenant),
  deletion: startedBy(deleteTenant),
  erasure: startedBy(deleteTenant),
  move: startedBy(moveTenant),
  rebuild: startedBy(rebuildProjection),
  'isolation-check': startedBy(requestIsolationCheck),
  'rewrap-keys': startedBy(rewrapMasterKey),
  'blueprint-campaign': startedBy(startCampaign),
  // Started by no command: a process of a newer release begins it.
  'schema-upgrade': [],
  ...Object.fromEntries(bulk),
};

/** Work whose parts need permissions of their own: those of what it was started with. */
const ofParts: Readonly<Record<string, (params: unknown) => string[]>> = {
  'bulk.settings': (params) => (params === null ? [] : settingsPermissions(params as BulkSettings)),
};
/** Flags that come with settings for many tenants need their own. */
export const settingsPermissions = ({ features }: Pick<BulkSettings, 'features'>): string[] => (features ? ['feature:update'] : []);

/**
 * Of a type of an earlier release that there is no more: only whoever may do everything.
 * @param startedWith asked where it matters; null where it is over for so long that nobody knows any more
 */
export async function permissionsOf(type: string, startedWith: () => Promise<unknown>): Promise<readonly string[]> {
  if (!Object.hasOwn(operationPermissions, type)) return ['*'];
  const needed = operationPermissions[type] as readonly string[];
  const parts = Object.hasOwn(ofParts, type) ? ofParts[type] : undefined;
  return parts ? [...needed, ...parts(await startedWith())] : needed;
}

/** Called for every type that there is: one that nobody has thought of must not start. */
export function requirePermissions(type: string): void {
  if (!Object.hasOwn(operationPermissions, type)) throw new Error(`operation-permissions.ts does not say what it takes to steer ${type}`);
}
