import { resourceNames } from '@tenantry/contracts/plans';
import { patch, projection, remove, upsert } from '@tenantry/messaging/projection';
import { bigint, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

export const quotaQuotas = pgTable(
  'quota_quotas',
  {
    tenantId: uuid('tenant_id').notNull(),
    resource: text('resource').notNull(),
    kind: text('kind').notNull(),
    unit: text('unit').notNull(),
    quotaLimit: bigint('quota_limit', { mode: 'number' }),
    source: text('source').notNull(),
    resetDate: timestamp('reset_date', { withTimezone: true, mode: 'string' }),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.resource] })],
);

/** The tenant's limits in its own schema, for SQL readers there. To rebuild, raise `version`. */
export const quotaQuotasProjection = projection({
  name: 'quota-quotas',
  version: 1,
  placement: 'tenant',
  tables: [quotaQuotas],
  on: {
    QuotasAssigned: ({ tenantId, data }) =>
      data.quotas.map(({ resource, kind, unit, limit, source }) =>
        upsert(quotaQuotas, {
          tenantId,
          resource,
          kind,
          unit,
          quotaLimit: limit,
          source,
          resetDate: kind === 'counter' ? data.periodEnd : null,
        }),
      ),
    QuotasChanged: ({ tenantId, data }) =>
      data.quotas.map(({ resource, limit, source }) => patch(quotaQuotas, { tenantId, resource }, { quotaLimit: limit, source })),
    LimitsChanged: ({ tenantId, data }) =>
      data.quotas.map(({ resource, limit, source }) => patch(quotaQuotas, { tenantId, resource }, { quotaLimit: limit, source })),
    // An assignment names known resources only, so these are all there can be.
    QuotasWithdrawn: ({ tenantId }) => resourceNames.map((resource) => remove(quotaQuotas, { tenantId, resource })),
  },
});
