import type { StoredEvent } from '@tenantry/contracts/events';
import { type Add, add, patch, projection, upsert } from '@tenantry/messaging/projection';
import { sql } from 'drizzle-orm';
import { bigint, boolean, integer, jsonb, numeric, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';

export const tenants = pgSchema('provisioning').table('tenants', {
  tenantId: uuid('tenant_id').primaryKey(),
  name: text('name').notNull(),
  slug: text('slug').notNull(),
  status: text('status').notNull(),
  statusReason: text('status_reason'),
  plan: text('plan').notNull(),
  planVersion: integer('plan_version').notNull(),
  priority: integer('priority').notNull(),
  isolation: text('isolation').notNull(),
  region: text('region').notNull(),
  domain: text('domain').notNull(),
  timezone: text('timezone').notNull(),
  locale: text('locale').notNull(),
  language: text('language').notNull(),
  currency: text('currency').notNull(),
  theme: text('theme').notNull(),
  tags: jsonb('tags').$type<string[]>().notNull(),
  activation: text('activation').notNull(),
  createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
  updatedAt: timestamp('updated_at', { withTimezone: true, mode: 'string' }).notNull(),
  parentId: uuid('parent_id'),
  priceMinor: bigint('price_minor', { mode: 'number' }).notNull(),
  mrrCurrency: text('mrr_currency').notNull(),
  mrrMinor: bigint('mrr_minor', { mode: 'number' })
    .notNull()
    .generatedAlwaysAs(sql`CASE WHEN status = 'active' THEN price_minor ELSE 0 END`),
  feedbackCategory: text('feedback_category'),
  winBack: boolean('win_back').notNull(),
  users: integer('users').notNull(),
  changedAt: timestamp('changed_at', { withTimezone: true, mode: 'string' }),
  failedOperation: uuid('failed_operation'),
  version: bigint('version', { mode: 'number' }).notNull(),
  position: bigint('position', { mode: 'number' }).notNull(),
});

/** What other services know of tenants: `TenantFigures` writes it. */
export const figures = pgSchema('provisioning').table('tenant_figures', {
  tenantId: uuid('tenant_id').primaryKey(),
  usagePercent: numeric('usage_percent', { mode: 'number' }),
  usedAt: timestamp('used_at', { withTimezone: true, mode: 'string' }),
  parked: integer('parked').notNull(),
});

interface At {
  tenantId: string;
  streamVersion: number;
  position: number;
  recordedAt: string;
}
type By = Pick<StoredEvent, 'tenantId' | 'metadata' | 'recordedAt'>;
const at = (event: At) => ({ updatedAt: event.recordedAt, version: event.streamVersion, position: event.position });
/** Activity is what the tenant's own do: not what the platform, or its services, do to it. */
const changed = ({ metadata: { actor }, recordedAt }: By) =>
  actor.kind === 'member' || actor.kind === 'api-key' ? { changedAt: recordedAt } : {};
const active = (event: By, more: { users?: Add } = {}) => {
  const values = { ...more, ...changed(event) };
  return Object.keys(values).length === 0 ? null : patch(tenants, { tenantId: event.tenantId }, values);
};
const status = (event: At, value: string, reason: string | null) =>
  patch(tenants, { tenantId: event.tenantId }, { status: value, statusReason: reason, ...at(event) });

/** One row per tenant, for the list; of reasons it knows the cause only. To rebuild, raise `version`. */
export const tenantList = projection({
  name: 'tenant-list',
  version: 5,
  placement: 'service',
  tables: [tenants],
  on: {
    TenantRegistered: (event) => {
      const { data } = event;
      return upsert(tenants, {
        tenantId: event.tenantId,
        name: data.name,
        slug: data.slug,
        status: 'pending',
        statusReason: null,
        plan: data.plan.id,
        planVersion: data.plan.version,
        priority: data.priority,
        isolation: data.isolation,
        region: data.region,
        domain: data.domain.host,
        timezone: data.timezone,
        locale: data.locale,
        language: data.language,
        currency: data.currency,
        theme: data.theme,
        tags: data.tags,
        parentId: data.parentId ?? null,
        priceMinor: data.plan.priceMinor,
        mrrCurrency: data.plan.currency,
        activation: data.activation,
        winBack: false,
        ...{ users: 0, changedAt: null, failedOperation: null },
        createdAt: event.recordedAt,
        ...at(event),
      });
    },
    TenantUpdated: (event) => {
      const { adminEmail: _a, billingEmail: _b, contactPhone: _c, before: _d, ...shown } = event.data;
      return patch(tenants, { tenantId: event.tenantId }, { ...shown, ...changed(event), ...at(event) });
    },
    TenantProvisioned: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TenantActivated: (event) => status(event, event.data.status, event.data.cause),
    TenantSuspended: (event) => status(event, 'suspended', event.data.cause),
    TenantReactivated: (event) => status(event, event.data.status, event.data.cause),
    TenantTrialEnded: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TenantArchived: (event) => status(event, 'archived', event.data.cause),
    TenantRestored: (event) => status(event, event.data.status, event.data.cause),
    TenantDeletionScheduled: (event) => {
      const { cause, feedback, winBack = false } = event.data;
      const shown = { status: 'deleting', statusReason: cause, feedbackCategory: feedback?.category ?? null, winBack };
      return patch(tenants, { tenantId: event.tenantId }, { ...shown, ...at(event) });
    },
    TenantDeletionCancelled: (event) => {
      const shown = { status: event.data.status, statusReason: event.data.cause, feedbackCategory: null, winBack: false };
      return patch(tenants, { tenantId: event.tenantId }, { ...shown, ...at(event) });
    },
    TenantErasureStarted: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TenantErased: (event) => status(event, 'deleted', null),
    LegalHoldPlaced: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    LegalHoldReleased: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TransitionScheduled: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TransitionUnscheduled: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TransitionEnded: (event) => patch(tenants, { tenantId: event.tenantId }, at(event)),
    TenantMoved: (event) => {
      const { isolation, region } = event.data;
      return patch(tenants, { tenantId: event.tenantId }, { isolation, region, ...at(event) });
    },
    TenantPlanChanged: (event) => {
      const { plan, priority } = event.data;
      const price = { priceMinor: plan.priceMinor, mrrCurrency: plan.currency };
      return patch(tenants, { tenantId: event.tenantId }, { plan: plan.id, planVersion: plan.version, priority, ...price, ...at(event) });
    },
    TenantProvisioningFailed: (event) => status(event, 'failed', event.data.reason.detail),
    TenantProvisioningRetried: (event) => status(event, 'pending', null),
    MemberInvited: (event) => active(event, { users: add(1) }),
    MemberRemoved: (event) => active(event, { users: add(-1) }),
    ApiKeyCreated: (event) => active(event),
    ApiKeyRevoked: (event) => active(event),
    SettingChanged: (event) => active(event),
    SettingRemoved: (event) => active(event),
    FeatureChanged: (event) => active(event),
    CustomDomainRegistered: (event) => active(event),
    OperationEnded: ({ tenantId, data: { operationId, status } }) =>
      status === 'cancelled' ? null : patch(tenants, { tenantId }, { failedOperation: status === 'succeeded' ? null : operationId }),
    OperationRetried: ({ tenantId }) => patch(tenants, { tenantId }, { failedOperation: null }),
  },
});
