import { type IdentityEvent, identityEvents } from '@tenantry/contracts/identity/events';
import { aggregate } from '@tenantry/event-store/aggregate';
import { defaultRoles } from './roles.js';

/** Keys may be rotated before the roles are there: the platform's own logs never get any. */
export interface Security {
  status: 'none' | 'initialized';
  /** Of the tenant's key: the newest that was written down. */
  keyVersion: number;
  /** The rotation that was written down last; of two at once, it may not be the newer one. */
  rotated: { keyVersion: number; rotatedAt: string } | null;
}

/** Stream `security`: the tenant's keys exist, which version encrypts, and what its roles may do. */
export const security = aggregate<Security, typeof identityEvents>({
  stream: 'security',
  events: identityEvents,
  initial: { status: 'none', keyVersion: 0, rotated: null },
  evolve: (state, event) => {
    switch (event.type) {
      case 'SecurityInitialized':
        return { ...state, status: 'initialized', keyVersion: Math.max(state.keyVersion, event.data.keyVersion) };
      case 'TenantKeyRotated':
        return { ...state, keyVersion: Math.max(state.keyVersion, event.data.keyVersion), rotated: event.data };
      default:
        return state;
    }
  },
});

export const initialize =
  ({ securityLevel, keyVersion }: { securityLevel: string; keyVersion: number }) =>
  (state: Security): IdentityEvent[] =>
    state.status === 'initialized' ? [] : [{ type: 'SecurityInitialized', data: { securityLevel, roles: defaultRoles(), keyVersion } }];

/** The version has been made. */
export const rotateKey =
  (data: { keyVersion: number; cause: 'requested' | 'age'; rotatedAt: string }) =>
  (_state: Security): IdentityEvent[] => [{ type: 'TenantKeyRotated', data }];
