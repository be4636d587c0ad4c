import type { EventMetadata } from '@tenantry/contracts/events';
import { effect, processManager } from '@tenantry/messaging/projection';

export interface ProvisionPayload {
  operationId: string;
  /** The trace of the request that began it. */
  traceparent?: string;
}

const provision = (operationId: string, { traceparent }: EventMetadata) =>
  effect('provision', { operationId, traceparent } satisfies ProvisionPayload);

/** A registered tenant, or a failed one that is tried again, is provisioned; one that was to be deleted meanwhile goes on where it stopped. */
export const provisioning = processManager({
  name: 'provisioning',
  on: {
    TenantRegistered: ({ data, metadata }) => provision(data.operationId, metadata),
    TenantProvisioningRetried: ({ data, metadata }) => provision(data.operationId, metadata),
    TenantDeletionCancelled: ({ data: { provisioningId }, metadata }) =>
      provisioningId === undefined ? null : provision(provisioningId, metadata),
  },
});
