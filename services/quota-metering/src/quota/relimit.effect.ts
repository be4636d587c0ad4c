import { Injectable } from '@nestjs/common';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import { Ledger } from '../usage/ledger.js';
import { quotas } from './quotas.js';

/** Limits that were set reach the ledger although the process that set them died before it wrote there. */
@Injectable()
export class RelimitEffect extends EffectHandler {
  override readonly effect = 'relimit';
  constructor(
    private readonly log: TenantLog,
    private readonly ledger: Ledger,
  ) {
    super();
  }

  override async run({ tenantId }: Effect): Promise<void> {
    const { state, position } = await this.log.load(quotas, { tenant: tenantId });
    if (state.status === 'assigned')
      await this.ledger.relimit({ tenantId, position, retentionDays: state.retentionDays, quotas: state.quotas });
  }
}
