import type { StoredOf } from '@tenantry/contracts/catalogue';
import type { DnsRecord } from '@tenantry/contracts/domain/events';
import { patch, projection, upsert } from '@tenantry/messaging/projection';
import { boolean, jsonb, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import type { z } from 'zod';

export const domainDomains = pgTable(
  'domain_domains',
  {
    tenantId: uuid('tenant_id').notNull(),
    domainId: uuid('domain_id').notNull(),
    host: text('host').notNull(),
    unicodeHost: text('unicode_host').notNull(),
    type: text('type', { enum: ['subdomain', 'custom'] }).notNull(),
    status: text('status', { enum: ['active', 'pending', 'released'] }).notNull(),
    isPrimary: boolean('is_primary').notNull(),
    ssl: boolean('ssl').notNull(),
    records: jsonb('records').$type<z.infer<typeof DnsRecord>[]>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.domainId] })],
);
export type DomainRow = typeof domainDomains.$inferSelect;

const claimed = ({ tenantId, data }: StoredOf<'DomainClaimed'>): DomainRow => ({
  tenantId,
  domainId: data.domainId,
  host: data.host,
  unicodeHost: data.unicodeHost,
  type: 'subdomain',
  status: 'active',
  isPrimary: data.primary,
  ssl: data.ssl,
  records: [],
  createdAt: data.claimedAt,
});
const registered = ({ tenantId, data }: StoredOf<'CustomDomainRegistered'>): DomainRow => ({
  tenantId,
  domainId: data.domainId,
  host: data.host,
  unicodeHost: data.unicodeHost,
  type: 'custom',
  status: 'pending',
  isPrimary: data.primary,
  ssl: data.ssl,
  records: data.records,
  createdAt: data.registeredAt,
});

/** One row per host name that the tenant has, wants, or had. */
export const domains = projection({
  name: 'domains',
  version: 1,
  placement: 'tenant',
  tables: [domainDomains],
  on: {
    DomainClaimed: (event) => upsert(domainDomains, claimed(event)),
    CustomDomainRegistered: (event) => upsert(domainDomains, registered(event)),
    DomainReleased: ({ tenantId, data }) => patch(domainDomains, { tenantId, domainId: data.domainId }, { status: 'released' }),
  },
});

type DomainListEvent = StoredOf<'DomainClaimed'> | StoredOf<'CustomDomainRegistered'> | StoredOf<'DomainReleased'>;
export const listTypes = Object.keys(domains.on);

/** The rows as they will be once the events are applied: what a reader sees before the projection has come that far. */
export function applied(rows: readonly DomainRow[], events: readonly DomainListEvent[]): DomainRow[] {
  const byId = new Map(rows.map((row) => [row.domainId, row]));
  for (const event of events) {
    const row = byId.get(event.data.domainId);
    if (event.type === 'DomainClaimed') byId.set(event.data.domainId, claimed(event));
    else if (event.type === 'CustomDomainRegistered') byId.set(event.data.domainId, registered(event));
    else if (row) byId.set(row.domainId, { ...row, status: 'released' });
  }
  return [...byId.values()];
}
