import { bigint, integer, jsonb, pgSchema, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';

/** Of a tenant's schema: `migrations/tenant/0001_checkpoints.sql`. */
export const tenantCheckpoints = pgTable(
  'checkpoints',
  {
    tenantId: uuid('tenant_id').notNull(),
    consumer: text('consumer').notNull(),
    version: text('version').notNull(),
    position: bigint('position', { mode: 'number' }).notNull(),
    eventId: uuid('event_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.consumer] })],
);

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

/** Of a service's schema: `migrations/0001_messaging.sql`. For queries; the runner has its own SQL. */
export function messagingTables(schema: string) {
  const own = pgSchema(schema);
  return {
    checkpoints: own.table(
      'checkpoints',
      {
        consumer: text('consumer').notNull(),
        tenantId: uuid('tenant_id').notNull(),
        version: text('version').notNull(),
        position: bigint('position', { mode: 'number' }).notNull(),
        eventId: uuid('event_id').notNull(),
      },
      (table) => [primaryKey({ columns: [table.consumer, table.tenantId] })],
    ),
    hints: own.table(
      'hints',
      {
        consumer: text('consumer').notNull(),
        tenantId: uuid('tenant_id').notNull(),
        version: text('version').notNull(),
        generation: integer('generation').notNull(),
        position: bigint('position', { mode: 'number' }).notNull(),
      },
      (table) => [primaryKey({ columns: [table.consumer, table.tenantId] })],
    ),
    effects: own.table('effects', {
      id: uuid('id').primaryKey(),
      tenantId: uuid('tenant_id').notNull(),
      name: text('name').notNull(),
      payload: jsonb('payload').notNull(),
      causationId: uuid('causation_id').notNull(),
      state: text('state', { enum: ['pending', 'running', 'done', 'parked'] }).notNull(),
      attempts: integer('attempts').notNull(),
      nextAttemptAt: instant('next_attempt_at').notNull(),
      leaseUntil: instant('lease_until'),
      lastError: text('last_error'),
      createdAt: instant('created_at').notNull(),
    }),
    timers: own.table(
      'timers',
      {
        tenantId: uuid('tenant_id').notNull(),
        purpose: text('purpose').notNull(),
        dueAt: instant('due_at').notNull(),
        payload: jsonb('payload').notNull(),
        state: text('state', { enum: ['pending', 'fired', 'cancelled', 'parked'] }).notNull(),
        attempts: integer('attempts').notNull(),
        nextAttemptAt: instant('next_attempt_at').notNull(),
        firedAt: instant('fired_at'),
        lastError: text('last_error'),
      },
      (table) => [primaryKey({ columns: [table.tenantId, table.purpose, table.dueAt] })],
    ),
    parked: own.table(
      'parked',
      {
        consumer: text('consumer').notNull(),
        tenantId: uuid('tenant_id').notNull(),
        position: bigint('position', { mode: 'number' }).notNull(),
        eventId: uuid('event_id').notNull(),
        error: text('error').notNull(),
        attempts: integer('attempts').notNull(),
        nextRetryAt: instant('next_retry_at').notNull(),
        parkedAt: instant('parked_at').notNull(),
      },
      (table) => [primaryKey({ columns: [table.consumer, table.tenantId] })],
    ),
    reservations: own.table(
      'reservations',
      {
        kind: text('kind').notNull(),
        name: text('name').notNull(),
        tenantId: uuid('tenant_id').notNull(),
        claim: text('claim').notNull(),
        expiresAt: instant('expires_at').notNull(),
        confirmedAt: instant('confirmed_at'),
      },
      (table) => [primaryKey({ columns: [table.kind, table.name] })],
    ),
  };
}
