import { add, patch, projection, upsert } from '@tenantry/messaging/projection';
import { boolean, integer, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
export const windows = pgSchema('provisioning').table('maintenance_windows', {
  windowId: uuid('window_id').primaryKey(),
  status: text('status').notNull(),
  scope: text('scope').notNull(),
  tenants: integer('tenants'),
  startsAt: instant('starts_at').notNull(),
  endsAt: instant('ends_at').notNull(),
  noticeAt: instant('notice_at'),
  reason: text('reason').notNull(),
  emergency: boolean('emergency').notNull(),
  createdAt: instant('created_at').notNull(),
  startedAt: instant('started_at'),
  endedAt: instant('ended_at'),
});

/** One row per window. To rebuild, raise `version`. */
export const maintenanceWindows = projection({
  name: 'maintenance-windows',
  version: 1,
  placement: 'service',
  tables: [windows],
  on: {
    MaintenanceScheduled: ({ data, recordedAt }) =>
      upsert(windows, {
        ...data,
        ...{ status: 'scheduled', tenants: data.scope === 'all' ? null : 0 },
        ...{ createdAt: recordedAt, startedAt: null, endedAt: null },
      }),
    MaintenanceTenantsNamed: ({ data: { windowId, tenantIds } }) => patch(windows, { windowId }, { tenants: add(tenantIds.length) }),
    MaintenanceStarted: ({ data: { windowId, startedAt } }) => patch(windows, { windowId }, { status: 'active', startedAt }),
    MaintenanceEnded: ({ data: { windowId, cause, endedAt } }) =>
      patch(windows, { windowId }, { status: cause === 'cancelled' ? 'cancelled' : 'ended', endedAt }),
  },
});
