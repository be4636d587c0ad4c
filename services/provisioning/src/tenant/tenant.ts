import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf, Personal } from '@tenantry/contracts/events';
import type { TenantStatus } from '@tenantry/contracts/tenant/bodies';
import { type ProvisioningStep, tenantEvents } from '@tenantry/contracts/tenant/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type TenantEvent = EventOf<typeof tenantEvents>;
export type Registration = Extract<TenantEvent, { type: 'TenantRegistered' }>['data'];
type Updated = Extract<TenantEvent, { type: 'TenantUpdated' }>['data'];
type Update = Omit<Updated, 'before'>;

export interface RegisteredTenant extends Registration {
  status: TenantStatus;
  statusReason: string | null;
  /** Everything exists and was verified. */
  provisioned: boolean;
  /** The provisioning that is going on, or went on last. */
  operationId: string;
  createdAt: string;
  updatedAt: string;
  adminEmail?: Personal;
  billingEmail?: Personal;
  contactPhone?: Personal;
}
/** `none`: never registered, or the registration was abandoned. */
export type Tenant = { status: 'none' } | RegisteredTenant;

export const tenant = aggregate<Tenant, typeof tenantEvents>({
  stream: 'tenant',
  events: tenantEvents,
  initial: { status: 'none' },
  evolve: (state, event): Tenant => {
    if (event.type === 'TenantRegistered') {
      const at = event.recordedAt;
      return { ...event.data, status: 'pending', statusReason: null, provisioned: false, createdAt: at, updatedAt: at };
    }
    if (state.status === 'none') return state;
    const updatedAt = event.recordedAt;
    switch (event.type) {
      case 'RegistrationAbandoned':
        return { status: 'none' };
      case 'TenantUpdated': {
        const { before: _, ...changed } = event.data;
        return { ...state, ...changed, updatedAt };
      }
      case 'TenantProvisioned':
        return { ...state, provisioned: true, updatedAt };
      case 'TenantActivated':
        return { ...state, status: event.data.status, statusReason: event.data.reason, updatedAt };
      case 'TenantProvisioningFailed':
        return { ...state, status: 'failed', statusReason: event.data.reason.detail, provisioned: false, updatedAt };
      case 'TenantProvisioningRetried':
        return { ...state, status: 'pending', statusReason: null, operationId: event.data.operationId, updatedAt };
      default:
        return state; // progress of the operation, on streams of its own
    }
  },
});

export function registered(state: Tenant): RegisteredTenant {
  if (state.status === 'none') throw new DomainError('tenant.not_found');
  return state;
}

export const register =
  (registration: Registration) =>
  (state: Tenant): TenantEvent[] => {
    if (state.status !== 'none') throw new DomainError('log.conflict', { detail: 'The tenant was registered already.' });
    return [{ type: 'TenantRegistered', data: registration }];
  };

/** A registration that was not finished in time gives its names back; one that came late then meets another version. */
export const abandon =
  (slug: string, now: string) =>
  (state: Tenant): TenantEvent[] =>
    state.status === 'none' ? [{ type: 'RegistrationAbandoned', data: { slug, abandonedAt: now } }] : [];

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** What is not named, or is as it was, stays out of the event; what changed goes in with what it was. `known` holds the contacts in clear. */
export const update =
  (change: Update, known: Partial<Update>) =>
  (state: Tenant): TenantEvent[] => {
    const was: Record<string, unknown> = { ...registered(state), ...known };
    const changed: Update = Object.fromEntries(
      Object.entries(change).filter(([field, value]) => value !== undefined && !same(value, was[field])),
    );
    const fields = Object.keys(changed);
    if (fields.length === 0) return [];
    const before: Update = Object.fromEntries(fields.flatMap((field) => (was[field] === undefined ? [] : [[field, was[field]]])));
    return [{ type: 'TenantUpdated', data: { ...changed, before } }];
  };

export const markProvisioned =
  (operationId: string, now: string) =>
  (state: Tenant): TenantEvent[] =>
    registered(state).provisioned ? [] : [{ type: 'TenantProvisioned', data: { operationId, provisionedAt: now } }];

/** By the saga (`operationId`) or by a person after the review. */
export const activate =
  (given: { operationId?: string; reason: string }, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const current = registered(state);
    if (current.status === 'active') return [];
    if (current.status === 'trial' && given.operationId) return [];
    if (current.status === 'pending' && !current.provisioned)
      throw new DomainError('tenant.not_ready', {
        detail: 'The tenant is still being provisioned; wait for its operation to reach activate.',
      });
    if (current.status !== 'pending' && current.status !== 'trial')
      throw new DomainError('tenant.transition_not_allowed', { detail: `A tenant that is ${current.status} cannot be activated.` });
    const status = current.status === 'pending' && current.plan.trialDays > 0 ? 'trial' : 'active';
    return [{ type: 'TenantActivated', data: { operationId: given.operationId, status, reason: given.reason, activatedAt: now } }];
  };

export const fail =
  (operationId: string, step: ProvisioningStep, reason: { code: string; detail: string }, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const current = registered(state);
    if (current.status === 'failed' || current.operationId !== operationId) return [];
    return [{ type: 'TenantProvisioningFailed', data: { operationId, step, reason, failedAt: now } }];
  };

export const retry =
  (operationId: string, reason: string, now: string) =>
  (state: Tenant): TenantEvent[] => {
    const current = registered(state);
    if (current.status !== 'failed')
      throw new DomainError('tenant.transition_not_allowed', {
        detail: `Only a failed tenant can be retried; this one is ${current.status}.`,
      });
    return [{ type: 'TenantProvisioningRetried', data: { operationId, reason, retriedAt: now } }];
  };
