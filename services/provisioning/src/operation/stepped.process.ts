import type { EventMetadata } from '@tenantry/contracts/events';
import type { SteppedType } from '@tenantry/contracts/tenant/operation-events';
import { effect, processManager } from '@tenantry/messaging/projection';
import type { Facts } from './stepped.js';

export interface OperationPayload {
  operationId: string;
  type: string;
  /** What was asked for; null where the operation began before. */
  input: Facts | null;
  /** The trace of the request that began it. */
  traceparent?: string;
}

/** What a process manager answers to the event that asks for an operation. */
export const runOperation = (type: SteppedType, operationId: string, input: Facts, { traceparent }: EventMetadata) =>
  effect('operation', { operationId, type, input, traceparent } satisfies OperationPayload);

/** Work that is retried goes on. */
export const retriedOperations = processManager({
  name: 'retried-operations',
  on: {
    OperationRetried: ({ data: { operationId, type }, metadata: { traceparent } }) =>
      effect('operation', { operationId, type, input: null, traceparent } satisfies OperationPayload),
  },
});
