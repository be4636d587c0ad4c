import { Controller } from '@nestjs/common';
import { getApprovalPolicies, putApprovalPolicies } from '@tenantry/contracts/config/approval-routes';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { policies, setPolicies } from './policies.js';

const DEFAULT_APPROVERS = 1;
const DEFAULT_EXPIRES_HOURS = 72;

@Controller()
export class PoliciesRpc {
  constructor(private readonly log: TenantLog) {}

  @Handles(getApprovalPolicies)
  async get(): Reply<typeof getApprovalPolicies> {
    const { state, version, position } = await this.log.load(policies, { tenant: PLATFORM_LOG });
    // Before the first policies there is no version.
    if (version < 0) return { status: 200, body: { items: state } };
    return { status: 200, body: { items: state }, version, position: { tenantId: PLATFORM_LOG, position } };
  }

  @Handles(putApprovalPolicies)
  async put({ body, command }: Call<typeof putApprovalPolicies>): Reply<typeof putApprovalPolicies> {
    const items = body.items.map(({ approvers = DEFAULT_APPROVERS, expiresHours = DEFAULT_EXPIRES_HOURS, ...what }) => ({
      ...what,
      ...{ approvers, expiresHours },
    }));
    const { state, version, position } = await this.log.transact(policies, { tenant: PLATFORM_LOG, command }, setPolicies(items));
    if (version < 0) return { status: 200, body: { items: state } };
    return { status: 200, body: { items: state }, version, position: { tenantId: PLATFORM_LOG, position } };
  }
}
