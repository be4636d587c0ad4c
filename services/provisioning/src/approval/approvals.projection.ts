import type { approvalStatuses } from '@tenantry/contracts/config/approval-routes';
import type { ConfigChange } from '@tenantry/contracts/config/events';
import type { Actor, Personal } from '@tenantry/contracts/events';
import { patch, projection, upsert } from '@tenantry/messaging/projection';
import { integer, jsonb, pgSchema, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

export const approvals = pgSchema('provisioning').table(
  'approvals',
  {
    tenantId: uuid('tenant_id').notNull(),
    approvalId: uuid('approval_id').notNull(),
    status: text('status').$type<(typeof approvalStatuses)[number]>().notNull(),
    command: text('command').notNull(),
    change: jsonb('change').$type<ConfigChange>(),
    requestedBy: jsonb('requested_by').$type<Actor>().notNull(),
    approvers: integer('approvers').notNull(),
    approvedBy: jsonb('approved_by').$type<Actor[]>().notNull(),
    rejectedBy: jsonb('rejected_by').$type<Actor>(),
    reason: jsonb('reason').$type<Personal>(),
    error: jsonb('error').$type<{ code: string; detail: string }>(),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.approvalId] })],
);

type Given = { tenantId: string; data: { approvalId: string } };
const is = ({ tenantId, data: { approvalId } }: Given, values: Parameters<typeof patch<typeof approvals>>[2]) =>
  patch(approvals, { tenantId, approvalId }, values);

/** One row per change that waits, or waited, for others. To rebuild, raise `version`. */
export const approvalList = projection({
  name: 'approvals',
  version: 1,
  placement: 'service',
  tables: [approvals],
  on: {
    ApprovalRequested: ({ tenantId, recordedAt, metadata, data }) =>
      upsert(approvals, {
        tenantId,
        approvalId: data.approvalId,
        status: 'pending',
        command: data.command,
        change: data.change,
        requestedBy: metadata.actor,
        approvers: data.approvers,
        approvedBy: [],
        createdAt: recordedAt,
        expiresAt: data.expiresAt,
      }),
    ApprovalGiven: (event) =>
      is(event, {
        status: event.data.granted ? 'approved' : 'pending',
        approvedBy: event.data.approvedBy,
        reason: event.data.reason ?? null,
      }),
    ApprovalRejected: (event) => is(event, { status: 'rejected', rejectedBy: event.metadata.actor, reason: event.data.reason ?? null }),
    ApprovalExpired: (event) => is(event, { status: 'expired' }),
    ApprovalApplied: (event) => is(event, { status: 'applied' }),
    ApprovalFailed: (event) => is(event, { status: 'failed', error: event.data.error }),
  },
});
