import { type BillingEvent, billingEvents } from './billing/events.js';
import { type ApprovalEvent, approvalEvents } from './config/approval-events.js';
import { type ConfigEvent, configEvents } from './config/events.js';
import { type DomainEvent, domainEvents } from './domain/events.js';
import type { Context, EventDefinition, EventSet, Stored } from './events.js';
import { type IdentityEvent, identityEvents } from './identity/events.js';
import { type PlacementEvent, placementEvents } from './placement/events.js';
import { type PlatformEvent, platformEvents } from './platform/events.js';
import { type QuotaEvent, quotaEvents } from './quota/events.js';
import { type TenantEvent, tenantEvents } from './tenant/events.js';

/** Every event set that exists. */
export const eventSets: EventSet[] = [
  tenantEvents,
  configEvents,
  approvalEvents,
  placementEvents,
  quotaEvents,
  domainEvents,
  billingEvents,
  identityEvents,
  platformEvents,
];

/** Definition and context by event type; type names are unique over all contexts. */
export const eventTypes: ReadonlyMap<string, EventDefinition & { context: Context }> = new Map(
  eventSets.flatMap((set) =>
    Object.entries(set.types).map(([type, definition]) => [type, { ...definition, context: set.context }] as const),
  ),
);

/** Every event that exists, as decisions give it. */
export type AnyEvent =
  | TenantEvent
  | ConfigEvent
  | ApprovalEvent
  | PlacementEvent
  | QuotaEvent
  | DomainEvent
  | BillingEvent
  | IdentityEvent
  | PlatformEvent;
export type EventName = AnyEvent['type'];
/** The stored form of one event type. */
export type StoredOf<T extends EventName> = Stored<Extract<AnyEvent, { type: T }>>;
