import type { OperationView } from '@tenantry/contracts/tenant/bodies';
import { patch, projection, upsert } from '@tenantry/messaging/projection';
import { sql } from 'drizzle-orm';
import { boolean, jsonb, pgSchema, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { itemsFailed, pausedByFailures } from '../job/items-failed.js';
import { cancellation } from './operation.js';

export const operationList = pgSchema('provisioning').table(
  'operation_list',
  {
    tenantId: uuid('tenant_id').notNull(),
    operationId: uuid('operation_id').notNull(),
    aboutId: uuid('about_id'),
    type: text('type').notNull(),
    begun: boolean('begun').notNull(),
    paused: boolean('paused').notNull(),
    cancelled: boolean('cancelled').notNull(),
    undoing: boolean('undoing').notNull(),
    committed: boolean('committed').notNull(),
    outcome: text('outcome'),
    error: jsonb('error').$type<OperationView['error']>(),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
    finishedAt: timestamp('finished_at', { withTimezone: true, mode: 'string' }),
    status: text('status').$type<OperationView['status']>().notNull().generatedAlwaysAs(sql`'' -- by migration 0095`),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.operationId] })],
);

interface Of {
  tenantId: string;
  recordedAt: string;
  data: { operationId: string };
}
const begins = ({ tenantId, recordedAt, data }: Of, type: string, aboutId: string | null, begun = false) =>
  upsert(operationList, {
    ...{ tenantId, operationId: data.operationId, aboutId, type, begun },
    ...{ paused: false, cancelled: false, undoing: false, committed: false, outcome: null, error: null },
    ...{ createdAt: recordedAt, finishedAt: null },
  });
const is = ({ tenantId, data: { operationId } }: Of, values: Parameters<typeof patch<typeof operationList>>[2]) =>
  patch(operationList, { tenantId, operationId }, values);
const again = { paused: false, undoing: false, outcome: null, error: null, finishedAt: null };

/** One row per operation, of every type: how it stands, without its steps and items. To rebuild, raise `version`. */
export const operations = projection({
  name: 'operation-list',
  version: 1,
  placement: 'service',
  tables: [operationList],
  on: {
    TenantRegistered: (event) => begins(event, 'provisioning', event.tenantId),
    TenantProvisioningRetried: (event) => begins(event, 'provisioning', event.tenantId),
    ProvisioningStepCompleted: (event) =>
      is(event, event.data.step === 'activate' ? { begun: true, outcome: 'succeeded', finishedAt: event.recordedAt } : { begun: true }),
    ProvisioningStepFailed: (event) =>
      is(event, event.data.retryAt === null ? { begun: true, undoing: true, error: event.data.error } : { begun: true }),
    ProvisioningCancelRequested: (event) => is(event, { cancelled: true, undoing: true, error: cancellation(null) }),
    TenantProvisioningFailed: (event) => is(event, { outcome: 'undone', finishedAt: event.recordedAt }),

    TenantMoveStarted: (event) => begins(event, 'move', event.tenantId),
    TenantDeletionScheduled: (event) => begins(event, 'deletion', event.tenantId),
    TenantDeletionCancelled: (event) => is(event, { outcome: 'cancelled', finishedAt: event.recordedAt }),
    TenantErasureStarted: (event) => is(event, { begun: true }),
    OperationStepCompleted: (event) => is(event, { begun: true }),
    OperationStepFailed: (event) =>
      is(event, event.data.retryAt === null ? { begun: true, undoing: true, error: event.data.error } : { begun: true }),
    OperationStepCompensated: (event) => is(event, { undoing: true }),
    OperationCompensationFailed: (event) => is(event, { undoing: true }),
    OperationCommitted: (event) => is(event, { committed: true }),
    OperationCancelRequested: (event) => is(event, { undoing: true }),
    OperationRollbackRequested: (event) => is(event, { undoing: true }),
    OperationRetried: (event) => is(event, again),
    OperationEnded: (event) => is(event, { outcome: event.data.status, error: event.data.error, finishedAt: event.recordedAt }),

    ProjectionRebuildRequested: (event) => begins(event, 'rebuild', event.data.tenantId, true),
    ProjectionRebuildEnded: (event) => {
      const { failed } = event.data;
      const outcome = failed > 0 ? { outcome: 'failed', error: itemsFailed(failed, 'tenants') } : { outcome: 'succeeded' };
      return is(event, { ...outcome, finishedAt: event.recordedAt });
    },

    JobRequested: (event) => begins(event, event.data.type, null, true),
    JobPaused: (event) => is(event, { paused: true, error: event.data.cause === 'failures' ? pausedByFailures : null }),
    JobResumed: (event) => is(event, { paused: false, error: null }),
    JobCancelRequested: (event) => is(event, { cancelled: true, error: cancellation(null) }),
    JobRetried: (event) => is(event, again),
    JobEnded: (event) => {
      const { outcome, counts, endedAt } = event.data;
      const error = outcome === 'failed' ? { error: itemsFailed(counts.failed, 'items') } : {};
      return is(event, { outcome, ...error, finishedAt: endedAt });
    },
  },
});
