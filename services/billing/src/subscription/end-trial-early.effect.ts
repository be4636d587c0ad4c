import { Injectable } from '@nestjs/common';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import type { EndTrialEarly } from './early-activations.process.js';
import { endTrialEarly, subscription } from './subscription.js';

@Injectable()
export class EndTrialEarlyEffect extends EffectHandler<EndTrialEarly> {
  override readonly effect = 'end-trial-early';
  constructor(private readonly log: TenantLog) {
    super();
  }

  override async run({ id, tenantId, causationId, payload }: Effect<EndTrialEarly>): Promise<void> {
    const actor = { kind: 'service', id: 'billing' } as const;
    const command = { id: derivedId('subscription.end-trial-early', id), actor, causationId };
    await this.log.transact(subscription, { tenant: tenantId, command }, endTrialEarly(payload.activatedAt));
  }
}
