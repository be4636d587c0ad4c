import type { SystemCommand } from '@tenantry/event-store/tenant-log';
import type { Caller } from '@tenantry/messaging/rpc';

/** The command of a call between services, as part of the operation that the caller drives: he is its actor, its trace goes on. */
export const operationCommand = (id: string, operationId: string, { service, traceparent }: Caller): SystemCommand => ({
  id,
  actor: { kind: 'service', id: service },
  correlationId: operationId,
  traceparent,
});
