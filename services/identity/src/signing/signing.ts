import { type IdentityEvent, identityEvents } from '@tenantry/contracts/identity/events';
import { aggregate } from '@tenantry/event-store/aggregate';

interface Rotated {
  keyId: string;
  rotatedAt: string;
}

/** Stream `signing` of the platform log: the key that documents are signed with since the last rotation. */
export const signing = aggregate<{ rotated: Rotated | null }, typeof identityEvents>({
  stream: 'signing',
  events: identityEvents,
  initial: { rotated: null },
  evolve: (state, event) => (event.type === 'SigningKeyRotated' ? { rotated: event.data } : state),
});

/** The key has been made. */
export const recordRotation = (data: Rotated) => (): IdentityEvent[] => [{ type: 'SigningKeyRotated', data }];
