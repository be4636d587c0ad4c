import { Injectable } from '@nestjs/common';
import { Clock } from '@tenantry/contracts/clock';
import { derivedId } from '@tenantry/contracts/ids';
import { TenantLog } from '@tenantry/event-store/tenant-log';
import { type DueTimer, type Effect, EffectHandler, TimerHandler, Timers } from '@tenantry/messaging/effects';
import { Database } from '@tenantry/service/database';
import { systemCommand } from '../saga/system-command.js';
import { approval, expire } from './approval.js';
import type { ApprovalDue } from './approvals.process.js';

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
  override async run({ tenantId, payload: { expiresAt } }: Effect<ApprovalDue>): Promise<void> {
    const late = Date.parse(expiresAt) <= this.clock.nowMs();
    await this.timers.schedule(tenantId, PURPOSE, late ? this.clock.now() : expiresAt, {});
  }
}

@Injectable()
export class ApprovalExpiry extends TimerHandler {
  override readonly purpose = PURPOSE;
  constructor(
    private readonly log: TenantLog,
    private readonly database: Database,
    private readonly clock: Clock,
  ) {
    super();
  }

  /** Whatever of the tenant is due. The list may lag: then the log says that it is decided, and nothing is appended. */
  override async fire({ tenantId }: DueTimer): Promise<void> {
    const now = this.clock.now();
    const { rows } = await this.database.pool.query<{ approval_id: string }>({
      name: 'approvals-due',
      text: `SELECT approval_id FROM provisioning.approvals WHERE tenant_id = $1 AND status = 'pending' AND expires_at <= $2`,
      values: [tenantId, now],
    });
    await Promise.all(
      rows.map(({ approval_id: id }) =>
        this.log.transact(
          approval,
          { tenant: tenantId, stream: `approval-${id}`, command: systemCommand(derivedId('approval.expiry', id)) },
          expire(now),
        ),
      ),
    );
  }
}
