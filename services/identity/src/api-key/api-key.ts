import { type IdentityEvent, identityEvents } from '@tenantry/contracts/identity/events';
import { type PlatformEvent, platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

export type KeyCreated = Extract<IdentityEvent, { type: 'ApiKeyCreated' }>['data'];
type ApiKeyState = { status: 'none' } | { status: 'active' } | { status: 'revoked'; revokedAt: string };

/** Streams `api-key-<id>`. The key itself and its hash are never in an event. */
export const apiKey = aggregate<ApiKeyState, typeof identityEvents>({
  stream: 'api-key',
  events: identityEvents,
  initial: { status: 'none' },
  evolve: (state, event) => {
    switch (event.type) {
      case 'ApiKeyCreated':
        return { status: 'active' };
      case 'ApiKeyRevoked':
        return { status: 'revoked', revokedAt: event.data.revokedAt };
      default:
        return state;
    }
  },
});

interface NewKey {
  keyId: string;
  name: string;
  permissions: string[];
  prefix: string;
  createdAt: string;
  expiresAt?: string;
}

export const create =
  ({ keyId, name, permissions, prefix, createdAt, expiresAt }: NewKey) =>
  (state: ApiKeyState): IdentityEvent[] =>
    state.status === 'none' ? [{ type: 'ApiKeyCreated', data: { keyId, name, permissions, prefix, createdAt, expiresAt } }] : [];

export const revoke =
  (data: { keyId: string; reason: string; revokedAt: string }) =>
  (state: ApiKeyState): IdentityEvent[] =>
    state.status === 'revoked' ? [] : [{ type: 'ApiKeyRevoked', data }];

type PlatformKeyState = 'none' | 'active' | 'revoked';
export type PlatformKeyMade = Extract<PlatformEvent, { type: 'PlatformKeyCreated' }>['data'];

/** Streams `platform-key-<id>` of the platform log. */
export const platformKey = aggregate<PlatformKeyState, typeof platformEvents>({
  stream: 'platform-key',
  events: platformEvents,
  initial: 'none',
  evolve: (state, { type }) => (type === 'PlatformKeyCreated' ? 'active' : type === 'PlatformKeyRevoked' ? 'revoked' : state),
});

export const createForPlatform =
  ({ keyId, name, permissions, owner, person, expiresAt, createdAt }: PlatformKeyMade) =>
  (state: PlatformKeyState): PlatformEvent[] =>
    state === 'none' ? [{ type: 'PlatformKeyCreated', data: { keyId, name, permissions, owner, person, expiresAt, createdAt } }] : [];

export const revokeForPlatform =
  (data: { keyId: string; reason: string; revokedAt: string }) =>
  (state: PlatformKeyState): PlatformEvent[] =>
    state === 'revoked' ? [] : [{ type: 'PlatformKeyRevoked', data }];
