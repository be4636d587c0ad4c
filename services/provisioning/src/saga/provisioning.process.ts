import { effect, processManager } from '@tenantry/messaging/projection';

export interface ProvisionPayload {
  operationId: string;
}

/** A registered tenant, or a failed one that is tried again, is provisioned. */
export const provisioning = processManager({
  name: 'provisioning',
  on: {
    TenantRegistered: ({ data }) => effect('provision', { operationId: data.operationId } satisfies ProvisionPayload),
    TenantProvisioningRetried: ({ data }) => effect('provision', { operationId: data.operationId } satisfies ProvisionPayload),
  },
});
