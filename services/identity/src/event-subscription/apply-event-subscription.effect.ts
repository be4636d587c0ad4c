import { Injectable } from '@nestjs/common';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Broker } from './broker.js';

export interface ApplyEventSubscription {
  subscriptionId: string;
}

@Injectable()
export class ApplyEventSubscriptionEffect extends EffectHandler<ApplyEventSubscription> {
  override readonly effect = 'apply-event-subscription';
  override readonly concurrency = 4;
  /** For as long as the broker is away: nothing but this makes a revocation hold. */
  override readonly maxAttempts = Number.MAX_SAFE_INTEGER;

  constructor(private readonly broker: Broker) {
    super();
  }

  override async run({ tenantId, payload }: Effect<ApplyEventSubscription>): Promise<void> {
    await this.broker.provisioner.provision(tenantId, payload.subscriptionId);
  }
}
