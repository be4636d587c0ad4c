import { Injectable } from '@nestjs/common';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { systemCommand } from '../saga/system-command.js';
import type { EndTrialPayload } from './lifecycle.process.js';
import { tenant } from './tenant.js';
import { endTrial } from './transitions.js';

/** The tenant's trial ends with that of its subscription, which has the timer. */
@Injectable()
export class EndTrial extends EffectHandler<EndTrialPayload> {
  override readonly effect = 'end-trial';
  constructor(private readonly log: TenantLog) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<EndTrialPayload>): Promise<void> {
    const command = systemCommand(derivedId('command', 'end-trial', id), { causationId });
    await this.log.transact(tenant, { tenant: tenantId, command }, endTrial(payload.endedAt));
  }
}
