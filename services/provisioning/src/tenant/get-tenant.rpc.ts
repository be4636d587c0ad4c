import { Controller } from '@nestjs/common';
import { getTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { registered, tenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

/** Folds the tenant's stream: always current, so it needs no `Tenantry-Min-Position`. */
@Controller()
export class GetTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
  ) {}

  @Handles(getTenant)
  async handle({ tenantId }: Call<typeof getTenant>): Reply<typeof getTenant> {
    const { state, version, position } = await this.log.load(tenant, { tenant: tenantId });
    const body = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body, version, position: { tenantId, position } };
  }
}
