import type { StoredEvent } from '../events.js';

/** Whether a tenant's own credentials, and what consumes for it, may do anything. */
export type TenantAccess = 'open' | 'suspended';

const after: Readonly<Record<string, TenantAccess>> = { TenantSuspended: 'suspended', TenantReactivated: 'open' };

/** The events of the stream `tenant` that open or close it. */
export const accessEvents: readonly string[] = Object.keys(after);

/** Pure: the access after an event of the stream `tenant`, whatever its type. */
export const accessAfter = (access: TenantAccess, event: Pick<StoredEvent, 'type'>): TenantAccess => after[event.type] ?? access;
