import { Controller } from '@nestjs/common';
import { updateTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { registered, tenant, update } from './tenant.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class UpdateTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(updateTenant)
  async handle({ tenantId, body, command }: Call<typeof updateTenant>): Reply<typeof updateTenant> {
    const before = await this.log.load(tenant, { tenant: tenantId });
    const { adminEmail, billingEmail, contactPhone } = await tenantView(this.keyring, tenantId, registered(before.state), before);
    const known = Object.fromEntries(
      Object.entries({ adminEmail, billingEmail, contactPhone }).map(([key, value]) => [key, value ?? undefined]),
    );
    const after = await this.log.transact(tenant, { tenant: tenantId, command }, update(body, known));
    const { version, position } = after;
    const view = await tenantView(this.keyring, tenantId, registered(after.state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}
