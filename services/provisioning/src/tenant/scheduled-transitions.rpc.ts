import { Controller } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { deleteScheduledTransition, listScheduledTransitions } from '@tenantry/contracts/tenant/lifecycle-routes';
import { Keyring } from '@tenantry/crypto/keyring';
import { revealed } from '@tenantry/crypto/revealed';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { Handles } from '@tenantry/messaging/handles';
import type { Call, Reply } from '@tenantry/messaging/rpc';
import { unschedule } from './scheduled-transitions.js';
import { registered, tenant } from './tenant.js';

@Controller()
export class ScheduledTransitionsRpc {
  constructor(
    private readonly log: TenantLog,
    private readonly keyring: Keyring,
    private readonly clock: Clock,
  ) {}

  @Handles(listScheduledTransitions)
  async list({ tenantId }: Call<typeof listScheduledTransitions>): Reply<typeof listScheduledTransitions> {
    const { state, position } = await this.log.load(tenant, { tenant: tenantId });
    const scheduled = Object.entries(registered(state).scheduled).sort(([, a], [, b]) => Date.parse(a.at) - Date.parse(b.at));
    const reasons: unknown[] = await revealed(
      this.keyring,
      tenantId,
      scheduled.map(([, { reason }]) => reason ?? ''),
    );
    const items = scheduled.map(([id, { command, at, cause }], index) => ({
      id,
      command,
      at,
      cause,
      reason: (reasons[index] as string | null) || null,
    }));
    return { status: 200, body: { items }, position: { tenantId, position } };
  }

  @Handles(deleteScheduledTransition)
  async remove({ tenantId, params, command }: Call<typeof deleteScheduledTransition>): Reply<typeof deleteScheduledTransition> {
    const { position } = await this.log.transact(tenant, { tenant: tenantId, command }, unschedule(params.transitionId, this.clock.now()));
    return { status: 204, body: undefined, position: { tenantId, position } };
  }
}
