import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, Personal } from '@tenantry/contracts/events';
import type { SubscriptionStart } from '@tenantry/contracts/identity/events';
import { add, patch, projection, type RowChange, upsert } from '@tenantry/messaging/projection';
import type { Database } from '@tenantry/service/database';
import { and, asc, desc, eq, gt, ne } from 'drizzle-orm';
import { integer, jsonb, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { Existing } from './event-subscription.js';

const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });
const subscriptions = pgSchema('identity').table('event_subscriptions', {
  subscriptionId: uuid('subscription_id').primaryKey(),
  logId: uuid('log_id').notNull(),
  status: text('status', { enum: ['active', 'paused', 'revoked'] }).notNull(),
  name: jsonb('name').$type<Personal>().notNull(),
  tenants: jsonb('tenants').$type<'all' | string[]>().notNull(),
  contexts: jsonb('contexts').$type<'all' | Context[]>().notNull(),
  types: jsonb('types').$type<string[]>(),
  startGeneration: integer('start_generation').notNull(),
  startFrom: jsonb('start_from').$type<SubscriptionStart>().notNull(),
  startsAt: jsonb('starts_at').$type<Record<string, string>>(),
  account: text('account').notNull(),
  credentials: integer('credentials').notNull(),
  createdAt: instant('created_at').notNull(),
  revokedAt: instant('revoked_at'),
  /** Of the subscription's stream. */
  version: integer('version').notNull(),
});

type Values = Partial<Omit<typeof subscriptions.$inferInsert, 'startGeneration'>> & { startGeneration?: ReturnType<typeof add> };
const changed = ({ data, streamVersion }: { data: { subscriptionId: string }; streamVersion: number }, values: Values): RowChange =>
  patch(subscriptions, { subscriptionId: data.subscriptionId }, { ...values, version: streamVersion });

/** Every event subscription, the platform's and the tenants'. To rebuild, raise `version`. */
export const eventSubscriptions = projection({
  name: 'event-subscriptions',
  version: 1,
  placement: 'service',
  tables: [subscriptions],
  on: {
    EventSubscriptionCreated: ({ tenantId, streamVersion, data: { from, ...data } }) =>
      upsert(subscriptions, {
        ...data,
        logId: tenantId,
        status: 'active',
        startGeneration: 1,
        startFrom: from,
        credentials: 1,
        revokedAt: null,
        version: streamVersion,
      }),
    EventSubscriptionRotated: (event) => changed(event, { credentials: event.data.credentials }),
    EventSubscriptionPaused: (event) => changed(event, { status: 'paused' }),
    EventSubscriptionResumed: (event) => changed(event, { status: 'active' }),
    EventSubscriptionReplayed: (event) =>
      changed(event, { startFrom: event.data.from, startsAt: event.data.startsAt, startGeneration: add(1) }),
    EventSubscriptionRevoked: (event) => changed(event, { status: 'revoked', revokedAt: event.data.revokedAt }),
  },
});

type Row = typeof subscriptions.$inferSelect;
const iso = (time: string) => new Date(time).toISOString();
const known = ({
  startGeneration,
  startFrom,
  startsAt,
  createdAt,
  revokedAt,
  logId,
  version,
  ...same
}: Row): Existing & { logId: string } => ({
  ...same,
  logId,
  start: { generation: startGeneration, from: startFrom, startsAt },
  createdAt: iso(createdAt),
  revokedAt: revokedAt === null ? null : iso(revokedAt),
});

/** Those of one log that were not revoked, newest first. */
export async function subscriptionsOf({ db }: Pick<Database, 'db'>, logId: string): Promise<Existing[]> {
  const rows = await db
    .select()
    .from(subscriptions)
    .where(and(eq(subscriptions.logId, logId), ne(subscriptions.status, 'revoked')))
    .orderBy(desc(subscriptions.createdAt), asc(subscriptions.subscriptionId))
    .limit(1_000);
  return rows.map(known);
}

/** All of them in pages by id. */
export async function subscriptionsAfter(
  { db }: Pick<Database, 'db'>,
  after: string,
  limit: number,
): Promise<(Existing & { logId: string })[]> {
  const rows = await db
    .select()
    .from(subscriptions)
    .where(gt(subscriptions.subscriptionId, after))
    .orderBy(asc(subscriptions.subscriptionId))
    .limit(limit);
  return rows.map(known);
}

const SEEN_MS = 1_000;
const LOOK_MS = 10;

/** Waits a little until the list shows what was recorded as that version of the stream: whoever made it looks there next. */
export async function untilSeen({ db }: Pick<Database, 'db'>, subscriptionId: string, version: number): Promise<void> {
  const endMs = performance.now() + SEEN_MS;
  while (performance.now() < endMs) {
    const [row] = await db
      .select({ version: subscriptions.version })
      .from(subscriptions)
      .where(eq(subscriptions.subscriptionId, subscriptionId));
    if (row !== undefined && row.version >= version) return;
    await sleep(LOOK_MS);
  }
}
