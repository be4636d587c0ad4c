import { bigint, pgTable, primaryKey, uuid, varchar } from 'drizzle-orm/pg-core';

/** Of a tenant's schema: `migrations/tenant/0001_checkpoints.sql`. */
export const tenantCheckpoints = pgTable(
  'checkpoints',
  {
    tenantId: uuid('tenant_id').notNull(),
    consumer: varchar('consumer', { length: 63 }).notNull(),
    version: varchar('version', { length: 64 }).notNull(),
    position: bigint('position', { mode: 'number' }).notNull(),
    eventId: uuid('event_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.consumer] })],
);
