import type { EventOf } from '@tenantry/contracts/events';
import { derivedId } from '@tenantry/contracts/ids';
import { platformEvents } from '@tenantry/contracts/platform/events';
import { aggregate } from '@tenantry/event-store/aggregate';

type PlatformEvent = EventOf<typeof platformEvents>;
type Requested = Extract<PlatformEvent, { type: 'ProjectionRebuildRequested' }>['data'];

/** The rebuilding of read models, on the stream `operation-<id>` of the platform's log. Its items are rows of the service. */
interface Rebuild {
  requested: Requested | null;
  requestedAt: string | null;
  ended: { succeeded: number; failed: number; at: string } | null;
}

export const rebuildId = (commandId: string): string => derivedId('operation', 'rebuild', commandId);

export const rebuild = aggregate<Rebuild, typeof platformEvents>({
  stream: 'operation',
  events: platformEvents,
  initial: { requested: null, requestedAt: null, ended: null },
  evolve: (state, event): Rebuild => {
    switch (event.type) {
      case 'ProjectionRebuildRequested':
        return { ...state, requested: event.data, requestedAt: event.recordedAt };
      case 'ProjectionRebuildEnded':
        return { ...state, ended: { succeeded: event.data.succeeded, failed: event.data.failed, at: event.recordedAt } };
      default:
        return state;
    }
  },
});

export const requestRebuild =
  (data: Requested) =>
  (state: Rebuild): PlatformEvent[] =>
    state.requested ? [] : [{ type: 'ProjectionRebuildRequested', data }];

export const endRebuild =
  (operationId: string, { succeeded, failed }: { succeeded: number; failed: number }) =>
  (state: Rebuild): PlatformEvent[] =>
    state.ended ? [] : [{ type: 'ProjectionRebuildEnded', data: { operationId, succeeded, failed } }];
