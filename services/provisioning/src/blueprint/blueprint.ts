import { DomainError } from '@tenantry/contracts/errors';
import type { EventOf } from '@tenantry/contracts/events';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type PlatformEvent = EventOf<typeof platformEvents>;
type Changed = Extract<PlatformEvent, { type: 'BlueprintChanged' }>['data'];
type Published = Extract<PlatformEvent, { type: 'BlueprintVersionPublished' }>['data'];

/** What of the operator's product tenants get, on the stream `blueprint-<name>` of the platform's log. */
export type Blueprint =
  | { registered: false }
  | {
      registered: true;
      name: string;
      supportsShared: boolean;
      status: Changed['status'];
      createdAt: string;
      updatedAt: string;
      /** Hashes of the SQL by version. */
      hashes: Readonly<Record<number, string>>;
      /** 0 for none. */
      latest: number;
    };

export const blueprint = aggregate<Blueprint, typeof platformEvents>({
  stream: 'blueprint',
  events: platformEvents,
  initial: { registered: false },
  evolve: (state, event): Blueprint => {
    switch (event.type) {
      case 'BlueprintChanged': {
        const { name, supportsShared, status, changedAt } = event.data;
        const before = state.registered ? state : { hashes: {}, latest: 0, createdAt: changedAt };
        return { ...before, registered: true, name, supportsShared, status, updatedAt: changedAt };
      }
      case 'BlueprintVersionPublished': {
        if (!state.registered) return state;
        const { blueprintVersion, sha256, publishedAt } = event.data;
        const hashes = { ...state.hashes, [blueprintVersion]: sha256 };
        return { ...state, hashes, latest: blueprintVersion, updatedAt: publishedAt };
      }
      default:
        return state; // other events of the platform, on streams of their own
    }
  },
});

export const change =
  (data: Changed) =>
  (state: Blueprint): PlatformEvent[] => {
    if (state.registered && state.supportsShared === data.supportsShared && state.status === data.status) return [];
    if (state.registered && state.latest > 0 && state.supportsShared !== data.supportsShared)
      throw new DomainError('blueprint.has_versions', {
        detail: 'Whether it supports shared tenants is settled with its first version; register another blueprint.',
      });
    return [{ type: 'BlueprintChanged', data }];
  };

/** @param after the version that the SQL was tried out after */
export const publish =
  (data: Published, after: number) =>
  (state: Blueprint): PlatformEvent[] => {
    if (!state.registered) throw new DomainError('blueprint.not_found');
    if (isPublished(state, data.blueprintVersion, data.sha256)) return [];
    if (state.latest !== after) throw conflict(`Version ${state.latest} was published meanwhile; publish a later one.`);
    return [{ type: 'BlueprintVersionPublished', data }];
  };

/** Whether that very version is there. @throws DomainError `blueprint.version_conflict` where another stands in its way */
export function isPublished(state: Blueprint, version: number, sha256: string): boolean {
  if (!state.registered) return false;
  const known = state.hashes[version];
  if (known === sha256) return true;
  if (known !== undefined)
    throw conflict(`Version ${version} has other SQL; what was published never changes. The next is ${state.latest + 1}.`);
  if (version <= state.latest) throw conflict(`Versions go up; the next after ${state.latest} is at least ${state.latest + 1}.`);
  return false;
}

const conflict = (detail: string) =>
  new DomainError('blueprint.version_conflict', { detail, errors: [{ field: 'version', rule: 'next', message: detail }] });
