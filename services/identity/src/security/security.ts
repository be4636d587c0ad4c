import { type IdentityEvent, identityEvents } from '@tenantry/contracts/identity/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { defaultRoles } from './roles.js';

export type Security = { status: 'none' } | { status: 'initialized'; keyVersion: number };

/** Stream `security`: the tenant's keys exist, and what its roles may do. */
export const security = aggregate<Security, typeof identityEvents>({
  stream: 'security',
  events: identityEvents,
  initial: { status: 'none' },
  evolve: (state, event) => (event.type === 'SecurityInitialized' ? { status: 'initialized', keyVersion: event.data.keyVersion } : state),
});

export const initialize =
  ({ securityLevel, keyVersion }: { securityLevel: string; keyVersion: number }) =>
  (state: Security): IdentityEvent[] =>
    state.status === 'initialized' ? [] : [{ type: 'SecurityInitialized', data: { securityLevel, roles: defaultRoles(), keyVersion } }];
