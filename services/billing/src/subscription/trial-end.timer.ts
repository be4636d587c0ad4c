import { Injectable } from '@nestjs/common';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type DueTimer, TimerHandler } from '@tenantry/messaging/effects';
import { endTrial, subscription } from './subscription.js';

/** Purpose of the timer that is due when a trial ends. */
export const TRIAL_END = 'trial-end';

@Injectable()
export class TrialEndTimer extends TimerHandler {
  override readonly purpose = TRIAL_END;
  constructor(private readonly log: TenantLog) {
    super();
  }

  override async fire({ tenantId, dueAt, commandId }: DueTimer): Promise<void> {
    await this.log.transact(
      subscription,
      { tenant: tenantId, command: { id: commandId, actor: { kind: 'service', id: 'billing' } } },
      endTrial(dueAt),
    );
  }
}
