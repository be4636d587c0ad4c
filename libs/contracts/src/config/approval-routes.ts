import { z } from 'zod';
import { Actor } from '../events.js';
import { ApprovalPolicy } from '../platform/events.js';
import { route } from '../route.js';
import { InstantText, PageQuery, page, text, Uuid } from '../values.js';
import { SettingKey, settingCategories } from './events.js';

const base = '/api/v1/platform';
const common = { owner: 'provisioning', tag: 'Approvals', scope: 'platform' } as const;

/**
 * What can be made to wait for further people, apart from settings by their key or category: a change of any setting, of a flag, of the
 * plan, of limits in place of the plan's, of the tenant's name, contacts or tags; a rollback of the configuration; what changes the tenant's
 * state; the policies themselves.
 */
export const approvableCommands = [
  'settings',
  'features',
  'plan',
  'limits',
  'update',
  'rollback',
  'activate',
  'suspend',
  'reactivate',
  'archive',
  'restore',
  'undelete',
  'delete',
  'approval-policies',
] as const;
export type ApprovableCommand = (typeof approvableCommands)[number];

export const approvalStatuses = ['pending', 'approved', 'applied', 'failed', 'rejected', 'expired'] as const;
/** The body of a 202: nothing has changed yet. */
export const ApprovalPending = z.object({
  approval: z.object({ id: Uuid, status: z.enum(approvalStatuses), url: z.string(), expiresAt: InstantText }),
});
export type ApprovalPending = z.infer<typeof ApprovalPending>;

const Policies = z.object({ items: z.array(ApprovalPolicy) });
const list = <S extends z.ZodType>(item: S) => z.array(item).min(1).max(200).optional();
export const getApprovalPolicies = route({
  ...common,
  name: 'approval-policies.get',
  summary: 'Which changes need the approval of further people',
  permission: 'approval-policy:read',
  method: 'GET',
  path: `${base}/approval-policies`,
  answers: { 200: Policies },
});
export const putApprovalPolicies = route({
  ...common,
  name: 'approval-policies.put',
  summary:
    'Say which changes need the approval of further people; what asks for less than before needs it too. What waits already goes on waiting as it began',
  permission: 'approval-policy:update',
  method: 'PUT',
  path: `${base}/approval-policies`,
  body: z.strictObject({
    items: z
      .array(
        z
          .strictObject({
            keys: list(SettingKey),
            categories: list(z.enum(settingCategories)),
            commands: list(z.enum(approvableCommands)),
            approvers: z.number().int().min(1).max(10).optional().describe('How many have to approve; 1 unless given'),
            expiresHours: z.number().positive().max(8_760).optional().describe('72 unless given'),
            named: z.boolean().optional().describe('Only keys of people whom the first platform key has named, by `owner`, approve'),
          })
          .refine(({ keys, categories, commands }) => keys !== undefined || categories !== undefined || commands !== undefined, {
            message: 'must name keys, categories or commands',
            params: { rule: 'not_empty' },
          }),
      )
      .max(100),
  }),
  answers: { 200: Policies, 202: ApprovalPending },
});

/** `from` and `to` as the caller may see them; null where there is nothing. */
const ProposedChange = z.object({ path: z.string(), from: z.json(), to: z.json() });
export const Approval = z.object({
  id: Uuid,
  tenantId: Uuid.nullable().describe('Null for a change of the policies'),
  status: z.enum(approvalStatuses),
  command: z.string(),
  changes: z.array(ProposedChange),
  request: z
    .record(z.string(), z.json())
    .nullable()
    .describe('Of a command that changes no configuration: what it is asked with, such as `graceDays`; null in the list'),
  requestedBy: Actor,
  approvers: z.number().int().describe('How many have to approve'),
  approvedBy: z.array(Actor),
  rejectedBy: Actor.nullable(),
  reason: z.string().nullable().describe('What was said with the last decision'),
  error: z.object({ code: z.string(), detail: z.string() }).nullable().describe('Why a change that was approved could not be made'),
  createdAt: InstantText,
  expiresAt: InstantText,
});
export type Approval = z.infer<typeof Approval>;
const ById = z.strictObject({ approvalId: Uuid });
export const listApprovals = route({
  ...common,
  name: 'approvals.list',
  summary: 'Changes that wait, or waited, for approval, newest first',
  permission: 'approval:read',
  method: 'GET',
  path: `${base}/approvals`,
  query: z.strictObject({ ...PageQuery, status: z.enum(approvalStatuses).optional(), tenantId: Uuid.optional() }),
  answers: { 200: page(Approval) },
});
export const getApproval = route({
  ...common,
  name: 'approvals.get',
  summary: 'One change that waits, or waited, for approval',
  permission: 'approval:read',
  method: 'GET',
  path: `${base}/approvals/:approvalId`,
  params: ById,
  answers: { 200: Approval },
});
const decision = {
  ...common,
  permission: 'approval:decide',
  method: 'POST',
  params: ById,
  body: z.strictObject({ reason: text(500).optional() }),
  bodyOptional: true,
  answers: { 200: Approval },
} as const;
export const approve = route({
  ...decision,
  name: 'approvals.approve',
  summary: 'Approve a change that somebody else asked for; with the last approval needed it is made',
  path: `${base}/approvals/:approvalId/approve`,
});
export const reject = route({
  ...decision,
  name: 'approvals.reject',
  summary: 'Refuse a change that waits for approval',
  path: `${base}/approvals/:approvalId/reject`,
});
export const approvalRoutes = [getApprovalPolicies, putApprovalPolicies, listApprovals, getApproval, approve, reject];
