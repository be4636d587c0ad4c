import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { activateTenant } from '@tenantry/contracts/tenant/routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { activate, registered, tenant } from './tenant.js';
import { tenantView } from './tenant-view.js';

@Controller()
export class ActivateTenantRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(activateTenant)
  async handle({ tenantId, body, command }: Call<typeof activateTenant>): Reply<typeof activateTenant> {
    const { state, version, position } = await this.log.transact(
      tenant,
      { tenant: tenantId, command },
      activate({ cause: 'manual', reason: body?.reason }, this.clock.now()),
    );
    const view = await tenantView(this.keyring, tenantId, registered(state), { version, position });
    return { status: 200, body: view, version, position: { tenantId, position } };
  }
}
