import type { StoredEvent } from '../events.js';

export const closedAccess = ['suspended', 'archived', 'deleting', 'deleted'] as const;
/** Whether a tenant's own credentials, and what consumes for it, may do anything; and if not, why. */
export type TenantAccess = 'open' | (typeof closedAccess)[number];

/** What a tenant's stream says of who may use it, and which reseller closed it; null where the platform did, or nobody. */
export interface Standing {
  access: TenantAccess;
  /** Also the reseller with which it was suspended. */
  suspendedBy: string | null;
  archivedBy: string | null;
}
export const openStanding: Standing = { access: 'open', suspendedBy: null, archivedBy: null };

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

type Closing = Pick<StoredEvent, 'type' | 'data'>;
const by = ({ data }: Closing): string | null => {
  const { resellerId, parentId } = data as { resellerId?: string; parentId?: string };
  return resellerId ?? parentId ?? null;
};
/** Pure: the standing after an event of the stream `tenant`, whatever its type. */
export const standingAfter = (standing: Standing, event: Closing): Standing => {
  const access = accessAfter(standing.access, event);
  if (event.type === 'TenantSuspended') return { ...standing, access, suspendedBy: by(event) };
  if (event.type === 'TenantArchived') return { ...standing, access, archivedBy: by(event) };
  return access === standing.access ? standing : { ...standing, access };
};

/**
 * Pure: what a child is for its reseller's credentials. What the reseller closed stays within its reach, or it could never open it again; what
 * the platform closed is as closed for it as for the child itself.
 */
export const accessOfReseller = ({ access, suspendedBy, archivedBy }: Standing, resellerId: string): TenantAccess =>
  (access === 'suspended' && suspendedBy === resellerId) || (access === 'archived' && archivedBy === resellerId) ? 'open' : access;
