import type { EventMetadata } from '@tenantry/contracts/events';
import { effect, processManager } from '@tenantry/messaging/projection';

export interface JobPayload {
  operationId: string;
  traceparent?: string;
}

const run = ({ data, metadata }: { data: { operationId: string }; metadata: EventMetadata }) =>
  effect('run-job', { operationId: data.operationId, traceparent: metadata.traceparent } satisfies JobPayload);

/** What makes a job go on has a driver look for it, also where it has one: that is harmless. A cancellation needs one to end it. */
export const jobs = processManager({
  name: 'jobs',
  on: { JobRequested: run, JobResumed: run, JobRetried: run, JobCancelRequested: run },
});
