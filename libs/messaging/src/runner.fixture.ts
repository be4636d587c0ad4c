import type { NatsConnection } from '@nats-io/transport-node';
import { newId, tenantKey } from '@tenantry/contracts/ids';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { command } from '@tenantry/event-store/conformance/given';
import { silentLogger } from '@tenantry/observability/logger';
import { type EventuallyOptions, eventually } from '@tenantry/testing/eventually';
import { type RunningNats, startNats } from '@tenantry/testing/nats';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { integer, pgSchema, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { connectNats } from './nats.js';
import { PostgresRunnerStorage } from './postgres-storage.js';
import { add, effect, type ProcessManager, type Projection, patch, processManager, projection, upsert } from './projection.js';
import { Runner, type RunnerParts } from './runner.js';
import { SystemScheduler } from './scheduler.js';
import { createServiceSchema, SchemaTenants } from './spec-support.js';

const own = pgSchema('svc');
const names = own.table('names', {
  tenantId: uuid('tenant_id').primaryKey(),
  name: text('name').notNull(),
  updates: integer('updates').notNull().default(0),
});
const notes = pgTable(
  'svc_notes',
  { tenantId: uuid('tenant_id').notNull(), position: integer('position').notNull(), type: text('type').notNull() },
  (table) => [primaryKey({ columns: [table.tenantId, table.position] })],
);
const ownTables =
  "CREATE TABLE names (tenant_id uuid PRIMARY KEY, name text NOT NULL CHECK (name <> 'refused'), updates int NOT NULL DEFAULT 0)";
const pageTable = 'CREATE TABLE pages (tenant_id uuid, position int, PRIMARY KEY (tenant_id, position))';
const tenantTables = 'CREATE TABLE svc_notes (tenant_id uuid, position int, type text NOT NULL, PRIMARY KEY (tenant_id, position))';

export const namesOf = (version = 1): Projection =>
  projection({
    name: 'names',
    version,
    placement: 'service',
    tables: [names],
    on: {
      TenantRegistered: ({ data }) => upsert(names, { name: data.name }),
      TenantUpdated: ({ data, tenantId }) => {
        if (data.name === 'poison') throw new Error('cannot take this');
        return patch(names, { tenantId }, { name: data.name, updates: add(1) });
      },
    },
  });
const pageRows = own.table('pages', { tenantId: uuid('tenant_id').notNull(), position: integer('position').notNull() }, (table) => [
  primaryKey({ columns: [table.tenantId, table.position] }),
]);
export const pages = projection({
  name: 'pages',
  version: 1,
  placement: 'service',
  tables: [pageRows],
  on: { TenantUpdated: ({ position }) => upsert(pageRows, { position }) },
});
export const welcome: ProcessManager = processManager({
  name: 'welcome',
  on: { TenantRegistered: ({ data }) => effect('welcome', { name: data.name }) },
});
export const everything = projection({
  name: 'notes',
  version: 1,
  placement: 'tenant',
  tables: [notes],
  on: { '*': ({ position, type }) => upsert(notes, { position, type }) },
});

export const scheduler = new SystemScheduler();

/** Until the expectations hold. */
export const until = (check: () => Promise<void>, options?: EventuallyOptions) =>
  eventually(async () => {
    await check();
    return true;
  }, options);

/** For specs: a service `svc` whose runners read logs that the spec writes, on a database and a bus of its own. */
export function serviceWithRunners() {
  const store = new MemoryEventStore();
  const runners: Runner[] = [];
  let postgres: RunningPostgres;
  let nats: RunningNats;
  /** There from `beforeAll` on. */
  const on = {} as { connection: NatsConnection; pool: pg.Pool; tenants: SchemaTenants; storage: PostgresRunnerStorage };

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startPostgres(), startNats({ jetstream: false })]);
    on.connection = await connectNats({ url: nats.url, process: 'svc', logger: silentLogger });
    on.pool = new pg.Pool({ connectionString: postgres.url, max: 10, pipeline: true } as pg.PoolConfig);
    await on.pool.query(
      'CREATE SCHEMA tenancy; CREATE TABLE tenancy.placements (tenant_id uuid PRIMARY KEY, generation bigint NOT NULL); CREATE SCHEMA log; CREATE TABLE log.heads (tenant_id uuid PRIMARY KEY, position bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now())',
    );
    await createServiceSchema(on.pool, 'svc', `${ownTables}; ${pageTable}`);
    on.tenants = new SchemaTenants(on.pool, tenantTables);
    on.storage = new PostgresRunnerStorage(on.pool, 'svc', on.tenants);
  }, 90_000);
  afterEach(async () => {
    await Promise.all(runners.splice(0).map((each) => each.stop()));
  });
  afterAll(async () => {
    await on.connection?.close();
    await on.pool?.end();
    await Promise.all([nats?.stop(), postgres?.stop()]);
  });

  const rows = async (sql: string, values: unknown[] = []) => (await on.pool.query(sql, values)).rows;
  return {
    on,
    store,
    rows,
    runner: async (parts: Partial<RunnerParts> = {}) => {
      const { projections = [namesOf()], processes = [] } = parts;
      const { storage } = on;
      const made = new Runner({ service: 'svc', storage, store, scheduler, logger: silentLogger, ...parts, projections, processes });
      runners.push(made);
      await made.start();
      return made;
    },
    append: async (tenantId: string, type: string, data: unknown, stream = newId()) =>
      (await store.append(command(tenantId, { stream, events: [{ type, data }] }))).events[0]?.position as number,
    wake: (tenantId: string, type: string, data: unknown) =>
      on.connection.publish(`tenantry.events.${tenantId}.tenant.${type}`, JSON.stringify(data)),
    notesOf: (tenantId: string) => rows(`SELECT type FROM t_${tenantKey(tenantId)}.svc_notes ORDER BY position`),
    nameOf: async (tenantId: string) => (await rows('SELECT name, updates FROM svc.names WHERE tenant_id = $1', [tenantId]))[0],
    /** Another session's transaction that goes no further. @returns its end */
    freeze: async (statement: string, values: unknown[] = []) => {
      const session = await on.pool.connect();
      await session.query('BEGIN');
      await session.query(statement, values);
      return async () => {
        await session.query('ROLLBACK');
        session.release();
      };
    },
  };
}
