import { type DomainEvent, domainEvents } from '@tenantry/contracts/domain/events';
import { DomainError } from '@tenantry/contracts/errors';
import { derivedId } from '@tenantry/contracts/ids';
import { aggregate } from '@tenantry/event-store/aggregate';

/** `changes` counts the events so far: a claim that was decided before an abandonment sees another number. */
export interface Domain {
  status: 'none' | 'active' | 'pending' | 'released' | 'abandoned';
  changes: number;
}

/** Streams `domain-<id>`: one tenant's claim to one host name, in all its attempts. */
export const domain = aggregate<Domain, typeof domainEvents>({
  stream: 'domain',
  events: domainEvents,
  initial: { status: 'none', changes: 0 },
  evolve: (state, event) => {
    const changes = state.changes + 1;
    switch (event.type) {
      case 'DomainClaimed':
        return { status: 'active', changes };
      case 'CustomDomainRegistered':
        return { status: 'pending', changes };
      case 'DomainReleased':
        return { status: 'released', changes };
      case 'DomainClaimAbandoned':
        return { status: 'abandoned', changes };
      default:
        event satisfies never;
        return state;
    }
  },
});

/** The kind of name that hosts are reserved as. */
export const HOST = 'host';

/** The same tenant and host are the same domain, also after a release. */
export const domainIdOf = (tenantId: string, host: string): string => derivedId('domain', tenantId, host);

type DataOf<T extends DomainEvent['type']> = Extract<DomainEvent, { type: T }>['data'];

/**
 * `seen` is `changes` from before the host was reserved. Another number now means that the reservation may have expired and
 * been given away in between: the claimant reserves again before he tries again.
 */
export const claim =
  (data: DataOf<'DomainClaimed'>, seen: number) =>
  (state: Domain): DomainEvent[] => {
    if (state.status === 'active') return [];
    if (state.changes !== seen) throw new DomainError('log.conflict');
    return [{ type: 'DomainClaimed', data }];
  };

export const register =
  (data: DataOf<'CustomDomainRegistered'>) =>
  (state: Domain): DomainEvent[] =>
    state.status === 'pending' || state.status === 'active' ? [] : [{ type: 'CustomDomainRegistered', data }];

export const release =
  (data: DataOf<'DomainReleased'>) =>
  (state: Domain): DomainEvent[] =>
    state.status === 'active' || state.status === 'pending' ? [{ type: 'DomainReleased', data }] : [];

/** Gives up a claim that was never finished; one that was (and only not confirmed) stays. */
export const abandon =
  (data: DataOf<'DomainClaimAbandoned'>) =>
  (state: Domain): DomainEvent[] =>
    state.status === 'active' ? [] : [{ type: 'DomainClaimAbandoned', data }];
