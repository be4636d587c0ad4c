import type { StoredEvent } from '../events.js';

export const closedAccess = ['suspended', 'archived', 'deleting', 'deleted'] as const;
/** Whether a tenant's own credentials, and what consumes for it, may do anything; and if not, why. */
export type TenantAccess = 'open' | (typeof closedAccess)[number];

const fixed: Readonly<Record<string, TenantAccess>> = {
  TenantSuspended: 'suspended',
  TenantReactivated: 'open',
  TenantArchived: 'archived',
  TenantDeletionScheduled: 'deleting',
  TenantErased: 'deleted',
};
/** These bring a tenant back to the status that they name. */
const back: ReadonlySet<string> = new Set(['TenantRestored', 'TenantDeletionCancelled']);
const ofStatus = (status: unknown): TenantAccess => (status === 'suspended' || status === 'archived' ? status : 'open');

/** The events of the stream `tenant` that open or close it. */
export const accessEvents: readonly string[] = [...Object.keys(fixed), ...back];

/** Pure: the access after an event of the stream `tenant`, whatever its type. */
export const accessAfter = (access: TenantAccess, { type, data }: Pick<StoredEvent, 'type' | 'data'>): TenantAccess =>
  back.has(type) ? ofStatus((data as { status?: unknown }).status) : (fixed[type] ?? access);
