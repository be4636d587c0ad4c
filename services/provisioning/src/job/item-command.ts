import { derivedId } from '@tenantry/contracts/ids';
import type { SystemCommand } from '@tenantry/event-store/tenant-log';
import type { JobItem, RunningJob } from './job-handler.js';

/** What a job does to a tenant is done in the name of who asked for the job, and once however often the item runs; one that failed for good is another command when it is tried again. */
export const itemCommand = (
  { operationId, actor, traceparent, causationId }: RunningJob,
  { ordinal, retries }: JobItem,
): SystemCommand => ({
  ...{ id: derivedId('command', operationId, 'item', ordinal, retries), actor, correlationId: operationId },
  ...{ causationId, traceparent },
});
