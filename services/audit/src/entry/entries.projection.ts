import { projection, upsert } from '@tenantry/messaging/projection';
import { bigint, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import { auditEntryOf } from './audit-entry.js';

export const auditEntries = pgTable(
  'audit_entries',
  {
    tenantId: uuid('tenant_id').notNull(),
    position: bigint('position', { mode: 'number' }).notNull(),
    id: uuid('id').notNull(),
    action: text('action').notNull(),
    resourceType: text('resource_type').notNull(),
    resourceId: text('resource_id').notNull(),
    actorKind: text('actor_kind').notNull(),
    actorId: text('actor_id').notNull(),
    oldValues: jsonb('old_values').$type<unknown>(),
    newValues: jsonb('new_values').$type<unknown>().notNull(),
    ip: text('ip'),
    userAgent: text('user_agent'),
    traceId: text('trace_id'),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.position] })],
);
export type AuditRow = typeof auditEntries.$inferSelect;

/** Everything that happened to the tenant, whichever context says so: one row per event. */
export const entries = projection({
  name: 'entries',
  version: 1,
  placement: 'tenant',
  tables: [auditEntries],
  on: { '*': (event) => upsert(auditEntries, auditEntryOf(event)) },
});
