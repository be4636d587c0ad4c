import { Module } from '@nestjs/common';
import { provide } from '@tenantry/messaging/provide';
import { ConfigChanges } from '../config/config-changes.js';
import { HistoryModule } from '../history/history.module.js';
import { PlanModule } from '../plan/plan.module.js';
import { ApprovalExpiry, AwaitApproval } from './approval-expiry.js';
import { ApprovalIndex } from './approval-index.js';
import { approvalsProcess } from './approvals.process.js';
import { approvalList } from './approvals.projection.js';
import { ApprovedChanges } from './approved-changes.js';
import { ApprovedLimits } from './approved-limits.js';
import { DecideApprovalRpc } from './decide-approval.rpc.js';
import { HoldCommandRpc } from './hold-command.rpc.js';
import { Holding } from './holding.js';
import { ListApprovalsRpc } from './list-approvals.rpc.js';
import { MakeApprovedChange } from './make-approved-change.effect.js';
import { Policies } from './policies.js';
import { ApprovedPolicies, PoliciesRpc } from './policies.rpc.js';

/** Whoever changes a configuration needs both: the change, and what may hold it back. */
@Module({
  imports: [HistoryModule, PlanModule],
  controllers: [PoliciesRpc, ListApprovalsRpc, DecideApprovalRpc, HoldCommandRpc],
  providers: [
    ...[
      ConfigChanges,
      Holding,
      Policies,
      ApprovalIndex,
      ApprovedChanges,
      ApprovedPolicies,
      ApprovedLimits,
      MakeApprovedChange,
      AwaitApproval,
      ApprovalExpiry,
    ],
    ...[provide(approvalList), provide(approvalsProcess)],
  ],
  exports: [ConfigChanges, Holding],
})
export class ApprovalModule {}
