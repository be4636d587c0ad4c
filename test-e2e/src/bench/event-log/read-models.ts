import type { EventMetadata } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { bodyHash } from '@tenantry/event-store/hash';
import type { AppendCommand } from '@tenantry/event-store/port';
import { add, type Projection, patch, projection, upsert } from '@tenantry/messaging/projection';
import { SchemaTenants } from '@tenantry/messaging/spec-support';
import { migrationFiles, repositoryRoot } from '@tenantry/tenancy/migration-files';
import { integer, pgSchema, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';

/** The schema that the benchmark's read models have, as a service would. */
export const schema = 'bench_models';

const own = pgSchema(schema);
const latest = own.table('latest', {
  tenantId: uuid('tenant_id').primaryKey(),
  position: integer('position').notNull(),
  count: integer('count').notNull(),
});
const items = own.table(
  'items',
  { tenantId: uuid('tenant_id').notNull(), position: integer('position').notNull(), name: text('name').notNull() },
  (table) => [primaryKey({ columns: [table.tenantId, table.position] })],
);
const tenantLatest = pgTable('bench_latest', { tenantId: uuid('tenant_id').primaryKey(), position: integer('position').notNull() });

const ownTables = `
  CREATE TABLE ${schema}.latest (tenant_id uuid PRIMARY KEY, position int NOT NULL, count int NOT NULL);
  CREATE TABLE ${schema}.items (tenant_id uuid, position int, name text NOT NULL, PRIMARY KEY (tenant_id, position))`;

/** One row per tenant in the service's own schema. */
export const latestOf = (version = 1): Projection =>
  projection({
    name: 'bench-latest',
    version,
    placement: 'service',
    tables: [latest],
    on: {
      TenantRegistered: ({ position }) => upsert(latest, { position, count: 1 }),
      TenantUpdated: ({ position, tenantId }) => patch(latest, { tenantId }, { position, count: add(1) }),
    },
  });
/** One row per event. */
export const itemsOf = (version = 1): Projection =>
  projection({
    name: 'bench-items',
    version,
    placement: 'service',
    tables: [items],
    on: { TenantUpdated: ({ position, data }) => upsert(items, { position, name: data.name ?? '' }) },
  });
/** One row in the tenant's own schema. */
export const tenantLatestOf = projection({
  name: 'bench-tenant-latest',
  version: 1,
  placement: 'tenant',
  tables: [tenantLatest],
  on: {
    TenantRegistered: ({ position }) => upsert(tenantLatest, { position }),
    TenantUpdated: ({ position }) => upsert(tenantLatest, { position }),
  },
});

export interface ReadModels {
  pool: pg.Pool;
  /** Schemas of a database without roles and policies: the round trips are those of dedicated tenants. */
  tenants: SchemaTenants;
}

/** Makes the schemas anew. */
export async function prepareReadModels(url: string, stack: AsyncDisposableStack): Promise<ReadModels> {
  const pool = stack.adopt(new pg.Pool({ connectionString: url, max: 10, pipeline: true } as pg.PoolConfig), (open) => open.end());
  await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE; CREATE SCHEMA ${schema}`);
  for (const { sql } of await migrationFiles(`${repositoryRoot}libs/messaging/migrations`))
    await pool.query(sql.replaceAll(':schema', schema));
  await pool.query(ownTables);
  await pool.query(
    'CREATE SCHEMA IF NOT EXISTS tenancy; CREATE TABLE IF NOT EXISTS tenancy.placements (tenant_id uuid PRIMARY KEY, generation bigint)',
  );
  return { pool, tenants: new SchemaTenants(pool, 'CREATE TABLE bench_latest (tenant_id uuid PRIMARY KEY, position int NOT NULL)') };
}

/** One command on a stream of its own, of types that the read models above handle. */
export function change(tenantId: string, type: 'TenantRegistered' | 'TenantUpdated', events = 1): AppendCommand {
  const stream = `bench-${newId()}`;
  const commandId = newId();
  const metadata: EventMetadata = { commandId, actor: { kind: 'service', id: 'bench' } };
  return {
    tenantId,
    commandId,
    requestHmac: null,
    stream,
    expectedVersion: -1,
    events: Array.from({ length: events }, (_, n) => {
      const body = { id: newId(), context: 'tenant' as const, type, version: 1, data: { name: `name ${n} ${'x'.repeat(120)}` }, metadata };
      return { ...body, bodyHash: bodyHash({ tenantId, stream, ...body }) };
    }),
  };
}
