import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import type { CommandContext, RouteAnswer } from '@tenantry/contracts/route';
import { reactivateTenant, setTenantStatus, suspendTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import type { Decision } from '@tenantry/event-store/aggregate';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { reactivate, registered, suspend, type Tenant, tenant, toStatus, type Why } from './tenant.js';
import { tenantView } from './tenant-view.js';

/** Suspension and its end, by their own names or as the status that is wanted. */
@Controller()
export class TenantStatusRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(suspendTenant)
  suspend({ tenantId, body, command }: Call<typeof suspendTenant>): Reply<typeof suspendTenant> {
    return this.decide(tenantId, command, suspend(why(body), this.clock.now()));
  }

  @Handles(reactivateTenant)
  reactivate({ tenantId, body, command }: Call<typeof reactivateTenant>): Reply<typeof reactivateTenant> {
    return this.decide(tenantId, command, reactivate(why(body), this.clock.now()));
  }

  @Handles(setTenantStatus)
  set({ tenantId, params, body, command }: Call<typeof setTenantStatus>): Reply<typeof setTenantStatus> {
    return this.decide(tenantId, command, toStatus(params.status, why(body), this.clock.now()));
  }

  private async decide(
    tenantId: string,
    command: CommandContext,
    decision: Decision<Tenant, typeof tenant.events>,
  ): Promise<RouteAnswer<typeof suspendTenant>> {
    const { state, version, position } = await this.log.transact(tenant, { tenant: tenantId, command }, decision);
    const view = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}

const why = (body: { reason?: string; cause?: Why['cause'] } | undefined): Why => ({
  cause: body?.cause ?? 'manual',
  reason: body?.reason,
});
