import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { canonicalPlan } from '@tenantry/contracts/plans';
import { updateTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { permits } from '@tenantry/service/authorize';
import { Plans } from '../plan/plans.js';
import { changePlan, registered, tenant, together, update } from './tenant.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class UpdateTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly plans: Plans,
    private readonly clock: Clock,
  ) {}

  @Handles(updateTenant)
  async handle({ tenantId, body, command }: Call<typeof updateTenant>): Reply<typeof updateTenant> {
    const { plan: wanted, ...fields } = body;
    const change = { ...fields, name: fields.name?.trim() };
    if (wanted !== undefined && !permits(command.principal.permissions, 'billing:update'))
      throw new DomainError('auth.forbidden', {
        detail: 'Another plan is another price: the permission billing:update is needed',
        errors: [{ field: 'plan', rule: 'permission', message: 'needs the permission billing:update' }],
        extensions: { permission: 'billing:update' },
      });
    const plan =
      wanted === undefined
        ? null
        : typeof wanted === 'string'
          ? await this.plans.current(canonicalPlan(wanted), 'plan')
          : await this.plans.current(canonicalPlan(wanted.id), 'plan.id');
    const before = await this.log.load(tenant, { tenant: tenantId });
    const { adminEmail, billingEmail, contactPhone } = await tenantView(this.keyring, tenantId, registered(before.state), before);
    const known = Object.fromEntries(
      Object.entries({ adminEmail, billingEmail, contactPhone }).map(([key, value]) => [key, value ?? undefined]),
    );
    const decide = together(update(change, known), ...(plan ? [changePlan(plan, this.clock.now())] : []));
    const after = await this.log.transact(tenant, { tenant: tenantId, command }, decide, before);
    const { version, position } = after;
    const view = await tenantView(this.keyring, tenantId, registered(after.state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}
