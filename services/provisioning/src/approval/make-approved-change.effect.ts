import { Injectable } from '@nestjs/common';
import { type Effect, EffectHandler } from '@tenantry/messaging/effects';
import type { ApprovalOf } from './approvals.process.js';
import { ApprovedChanges } from './approved-changes.js';

@Injectable()
export class MakeApprovedChange extends EffectHandler<ApprovalOf> {
  override readonly effect = 'make-approved-change';
  constructor(private readonly approved: ApprovedChanges) {
    super();
  }
  override async run({ tenantId, payload }: Effect<ApprovalOf>): Promise<void> {
    await this.approved.make(tenantId, payload.approvalId);
  }
}
