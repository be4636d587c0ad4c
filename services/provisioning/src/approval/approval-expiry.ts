import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type DueTimer, type Effect, EffectHandler, TimerHandler, Timers } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { systemCommand } from '../saga/system-command.js';
import { approval, expire } from './approval.js';
import type { ApprovalDue, ApprovalOf } from './approvals.process.js';

const PURPOSE = 'approval-expiry';

/** A timer per tenant and instant. One that would be due already is set for now: a row of that instant may have fired without it. */
@Injectable()
export class AwaitApproval extends EffectHandler<ApprovalDue> {
  override readonly effect = 'await-approval';
  constructor(
    private readonly timers: Timers,
    private readonly clock: Clock,
  ) {
    super();
  }
  override async run({ tenantId, payload: { approvalId, expiresAt } }: Effect<ApprovalDue>): Promise<void> {
    const late = Date.parse(expiresAt) <= this.clock.nowMs();
    await this.timers.schedule(tenantId, PURPOSE, late ? this.clock.now() : expiresAt, { approvalId } satisfies ApprovalOf);
  }
}

@Injectable()
export class ApprovalExpiry extends TimerHandler<ApprovalOf> {
  override readonly purpose = PURPOSE;
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {
    super();
  }

  /**
   * The approval that the timer is for, and whatever else of the tenant is due: of several that expire at the same instant, one has the timer.
   * The list may lag: the log says what is decided, and then nothing is appended.
   */
  override async fire({ tenantId, payload: { approvalId } }: DueTimer<ApprovalOf>): Promise<void> {
    const now = this.clock.now();
    const { rows } = await this.database.pool.query<{ approval_id: string }>({
      name: 'approvals-due',
      text: `SELECT approval_id FROM provisioning.approvals WHERE tenant_id = $1 AND status = 'pending' AND expires_at <= $2`,
      values: [tenantId, now],
    });
    await Promise.all(
      [...new Set([approvalId, ...rows.map(({ approval_id: id }) => id)])].map((id) =>
        this.log.transact(
          approval,
          { tenant: tenantId, stream: `approval-${id}`, command: systemCommand(derivedId('approval.expiry', id)) },
          expire(now),
        ),
      ),
    );
  }
}
