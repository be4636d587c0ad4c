import { effect, processManager } from '@tenantry/messaging/projection';

export interface RebuildPayload {
  operationId: string;
  traceparent?: string;
}

/** A rebuild that was asked for is handed to its service, and followed until it is over. */
export const rebuilding = processManager({
  name: 'rebuilding',
  on: {
    ProjectionRebuildRequested: ({ data, metadata }) =>
      effect('rebuild-projection', { operationId: data.operationId, traceparent: metadata.traceparent } satisfies RebuildPayload),
  },
});
