import { effect, processManager } from '@tenantry/messaging/projection';

export interface ApprovalOf {
  approvalId: string;
}
export interface ApprovalDue extends ApprovalOf {
  expiresAt: string;
}

/** What waits expires; what is granted is made, also where the process that was asked died before it could. */
export const approvalsProcess = processManager({
  name: 'approvals',
  on: {
    ApprovalRequested: ({ data: { approvalId, expiresAt } }) => effect('await-approval', { approvalId, expiresAt } satisfies ApprovalDue),
    ApprovalGiven: ({ data: { approvalId, granted } }) =>
      granted ? effect('make-approved-change', { approvalId } satisfies ApprovalOf) : null,
  },
});
