import { Controller } from '@nestjs/common';
import { DomainError } from '@tenantry/contracts/errors';
import { updateTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Holding } from '../approval/holding.js';
import { ConfigChanges } from '../config/config-changes.js';
import { registered, tenant } from './tenant.js';
import { tenantChangeOf } from './tenant-change.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class UpdateTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly changes: ConfigChanges,
    private readonly holding: Holding,
  ) {}

  @Handles(updateTenant)
  async handle({ tenantId, body, command }: Call<typeof updateTenant>): Reply<typeof updateTenant> {
    if (body.plan !== undefined && !permits(command.principal.permissions, 'billing:update'))
      throw new DomainError('auth.forbidden', {
        detail: 'Another plan is another price: the permission billing:update is needed',
        errors: [{ field: 'plan', rule: 'permission', message: 'needs the permission billing:update' }],
        extensions: { permission: 'billing:update' },
      });
    const planned = await this.changes.plan(tenantId, tenantChangeOf(body), typeof body.plan === 'object' ? 'plan.id' : 'plan');
    const hold = await this.holding.hold(tenantId, 'update', planned, command);
    if (hold.held) return hold.held;
    const { tenant: made } = await this.changes.make(tenantId, hold.cleared, command);
    // A body that names nothing changes nothing.
    const { state, version, position } = made ?? (await this.log.load(tenant, { tenant: tenantId }));
    const view = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}
