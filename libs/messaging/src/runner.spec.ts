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
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectNats } from './nats.js';
import { PostgresRunnerStorage } from './postgres-storage.js';
import { add, effect, type ProcessManager, type Projection, patch, processManager, projection, upsert } from './projection.js';
import { Runner, type RunnerParts } from './runner.js';
import { SystemScheduler } from './scheduler.js';
import { createServiceSchema, SchemaTenants } from './spec-support.js';
import { ReadPosition } from './wait.js';
import { NatsWakeUps } from './wake-ups.js';

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

const namesOf = (version = 1): Projection =>
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
const pages = projection({
  name: 'pages',
  version: 1,
  placement: 'service',
  tables: [pageRows],
  on: { TenantUpdated: ({ position }) => upsert(pageRows, { position }) },
});
const welcome: ProcessManager = processManager({
  name: 'welcome',
  on: { TenantRegistered: ({ data }) => effect('welcome', { name: data.name }) },
});
const everything = projection({
  name: 'notes',
  version: 1,
  placement: 'tenant',
  tables: [notes],
  on: { '*': ({ position, type }) => upsert(notes, { position, type }) },
});

let postgres: RunningPostgres;
let nats: RunningNats;
let connection: NatsConnection;
let pool: pg.Pool;
let tenants: SchemaTenants;
let store: MemoryEventStore;
let storage: PostgresRunnerStorage;
const scheduler = new SystemScheduler();
const runners: Runner[] = [];

const runner = async (parts: Partial<RunnerParts> = {}) => {
  const { projections = [namesOf()], processes = [] } = parts;
  const made = new Runner({ service: 'svc', storage, store, scheduler, logger: silentLogger, ...parts, projections, processes });
  runners.push(made);
  await made.start();
  return made;
};
const append = async (tenantId: string, type: string, data: unknown, stream = newId()) =>
  (await store.append(command(tenantId, { stream, events: [{ type, data }] }))).events[0]?.position as number;
/** Until the expectations hold. */
const until = (check: () => Promise<void>, options?: EventuallyOptions) =>
  eventually(async () => {
    await check();
    return true;
  }, options);
const rows = async (sql: string, values: unknown[] = []) => (await pool.query(sql, values)).rows;
const wake = (tenantId: string, type: string, data: unknown) =>
  connection.publish(`tenantry.events.${tenantId}.tenant.${type}`, JSON.stringify(data));
const notesOf = (tenantId: string) => rows(`SELECT type FROM t_${tenantKey(tenantId)}.svc_notes ORDER BY position`);
const nameOf = async (tenantId: string) => (await rows('SELECT name, updates FROM svc.names WHERE tenant_id = $1', [tenantId]))[0];

beforeAll(async () => {
  [postgres, nats] = await Promise.all([startPostgres(), startNats({ jetstream: false })]);
  connection = await connectNats({ url: nats.url, process: 'svc', logger: silentLogger });
  pool = new pg.Pool({ connectionString: postgres.url, max: 10, pipeline: true } as pg.PoolConfig);
  await pool.query(
    'CREATE SCHEMA tenancy; CREATE TABLE tenancy.placements (tenant_id uuid PRIMARY KEY, generation bigint NOT NULL); CREATE SCHEMA log; CREATE TABLE log.heads (tenant_id uuid PRIMARY KEY, position bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now())',
  );
  await createServiceSchema(pool, 'svc', `${ownTables}; ${pageTable}`);
  tenants = new SchemaTenants(pool, tenantTables);
  store = new MemoryEventStore();
  storage = new PostgresRunnerStorage(pool, 'svc', tenants);
}, 90_000);
afterEach(async () => {
  await Promise.all(runners.splice(0).map((each) => each.stop()));
});
afterAll(async () => {
  await connection?.close();
  await pool?.end();
  await Promise.all([nats?.stop(), postgres?.stop()]);
});

describe("rows in the service's own schema", () => {
  it('follow the logs of many tenants, checkpoints included', async () => {
    const ids = Array.from({ length: 50 }, () => newId());
    for (const id of ids) {
      await append(id, 'TenantRegistered', { name: `n-${id}` });
      await append(id, 'TenantActivated', {});
      await append(id, 'TenantUpdated', { name: `m-${id}` });
    }
    const running = await runner();
    running.appended(ids);
    await until(async () => {
      expect(await rows('SELECT count(*)::int AS n FROM svc.names WHERE tenant_id = ANY($1) AND updates = 1', [ids])).toEqual([{ n: 50 }]);
    });
    expect(await rows('SELECT DISTINCT position::int FROM svc.checkpoints WHERE tenant_id = ANY($1)', [ids])).toEqual([{ position: 2 }]);
  });

  it('take every event once, with several replicas and any number of wake-ups', async () => {
    const id = newId();
    await append(id, 'TenantRegistered', { name: 'a' });
    const replicas = await Promise.all([runner(), runner(), runner()]);
    for (let n = 0; n < 60; n++) {
      await append(id, 'TenantUpdated', { name: `a${n}` });
      for (const replica of replicas) replica.appended([id]);
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'a59', updates: 60 }));
  });

  it('commit with the effects that their events ask for, whose ids are derived from the events', async () => {
    const id = newId();
    let woken = 0;
    const running = await runner({ processes: [welcome], onEffects: () => (woken += 1) });
    await append(id, 'TenantRegistered', { name: 'e' });
    running.appended([id]);
    await until(async () => expect(woken).toBeGreaterThan(0));
    const [first] = await rows('SELECT id, name, payload, state FROM svc.effects WHERE tenant_id = $1', [id]);
    expect(first).toMatchObject({ name: 'welcome', payload: { name: 'e' }, state: 'pending' });
  });

  it('are rebuilt when the version of a projection is raised, without asking for effects again', async () => {
    const id = newId();
    const before = await runner({ processes: [welcome] });
    await append(id, 'TenantRegistered', { name: 'v' });
    await append(id, 'TenantUpdated', { name: 'w' });
    before.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'w', updates: 1 }));
    await before.stop();
    await pool.query("UPDATE svc.names SET name = 'broken', updates = 7 WHERE tenant_id = $1", [id]);
    await pool.query('DELETE FROM svc.effects WHERE tenant_id = $1', [id]);
    await pool.query('INSERT INTO log.heads VALUES ($1, 1)', [id]);
    // Nobody tells it: the sweep at its start finds that the hint is of another version.
    await runner({ projections: [namesOf(2)], processes: [welcome] });
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'w', updates: 1 }));
    expect(await rows('SELECT FROM svc.effects WHERE tenant_id = $1', [id])).toEqual([]);
  });

  it('are rebuilt where the log is not the one of their checkpoint', async () => {
    const id = newId();
    const first = await runner();
    await append(id, 'TenantRegistered', { name: 'old' });
    first.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'old', updates: 0 }));
    await first.stop();
    await pool.query('UPDATE svc.checkpoints SET event_id = gen_random_uuid(), position = 5 WHERE tenant_id = $1', [id]);
    await pool.query("UPDATE svc.names SET name = 'of another history' WHERE tenant_id = $1", [id]);
    const second = await runner();
    second.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'old', updates: 0 }));
  });

  it("stop at an event that a handler can't take, for that tenant only, and are parked after five attempts", async () => {
    const [poisoned, healthy] = [newId(), newId()];
    const running = await runner();
    for (const id of [poisoned, healthy]) await append(id, 'TenantRegistered', { name: 'ok' });
    await append(poisoned, 'TenantUpdated', { name: 'poison' });
    await append(healthy, 'TenantUpdated', { name: 'fine' });
    running.appended([poisoned, healthy]);
    await until(async () => expect(await nameOf(healthy)).toEqual({ name: 'fine', updates: 1 }));
    await until(
      async () =>
        expect((await rows('SELECT attempts, position::int, error FROM svc.parked WHERE tenant_id = $1', [poisoned]))[0]).toMatchObject({
          attempts: 5,
          position: 1,
        }),
      { timeoutMs: 15_000 },
    );
    expect(await nameOf(poisoned)).toEqual({ name: 'ok', updates: 0 });
  }, 20_000);
});

describe('a rebuild', () => {
  it('is seen by readers as one change, or not at all', async () => {
    const id = newId();
    const running = await runner({ projections: [pages] });
    for (let n = 0; n < 60; n++) {
      const events = Array.from({ length: 50 }, () => ({ type: 'TenantUpdated', data: { name: 'x' } }));
      await store.append(command(id, { stream: newId(), events }));
    }
    running.appended([id]);
    const count = async () => (await rows('SELECT count(*)::int AS n FROM svc.pages WHERE tenant_id = $1', [id]))[0].n;
    await until(async () => expect(await count()).toBe(3_000), { timeoutMs: 15_000 });
    const seen = new Set<number>();
    let over = false;
    const reading = (async () => {
      while (!over) seen.add(await count());
    })();
    expect(await running.rebuild('service', id)).toBe(3_000);
    over = true;
    await reading;
    expect([...seen]).toEqual([3_000]);
  }, 30_000);

  it.each([
    ['asks again, by the same ids, for effects of a history that was rewritten', 0, 1],
    ['does not ask again for effects that may have been forgotten since', 10 * 24 * 3_600_000, 0],
  ])('%s', async (_, laterMs, asked) => {
    class Later extends SystemScheduler {
      override wallMs(): number {
        return super.wallMs() + laterMs;
      }
    }
    const id = newId();
    const first = await runner({ processes: [welcome] });
    await append(id, 'TenantRegistered', { name: 'r' });
    first.appended([id]);
    const effectsOf = () => rows('SELECT id FROM svc.effects WHERE tenant_id = $1', [id]);
    await until(async () => expect(await effectsOf()).toHaveLength(1));
    const [before] = await effectsOf();
    await first.stop();
    await pool.query('DELETE FROM svc.effects WHERE tenant_id = $1', [id]);
    await pool.query('UPDATE svc.checkpoints SET event_id = gen_random_uuid() WHERE tenant_id = $1', [id]);
    await pool.query("UPDATE svc.names SET name = 'of another history' WHERE tenant_id = $1", [id]);
    const second = await runner({ processes: [welcome], scheduler: new Later() });
    second.appended([id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'r', updates: 0 }));
    expect(await effectsOf()).toEqual(asked === 1 ? [before] : []);
  });
});

describe('what an operator has left out', () => {
  it('is passed over, then and by a rebuild', async () => {
    const id = newId();
    const running = await runner({ options: { sweepMs: 100 } });
    await append(id, 'TenantRegistered', { name: 'ok' });
    await append(id, 'TenantUpdated', { name: 'poison' });
    await append(id, 'TenantUpdated', { name: 'after' });
    running.appended([id]);
    const parked = async () => (await rows('SELECT event_id, type FROM svc.parked WHERE tenant_id = $1', [id]))[0];
    await until(async () => expect(await parked()).toMatchObject({ type: 'TenantUpdated' }), { timeoutMs: 15_000 });
    await pool.query(
      `WITH gone AS (DELETE FROM svc.parked WHERE tenant_id = $1 RETURNING consumer, tenant_id, event_id, position)
       INSERT INTO svc.skipped SELECT consumer, tenant_id, event_id, position, 'a test', 'tester' FROM gone`,
      [id],
    );
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'after', updates: 1 }));
    await running.stop();
    await pool.query('INSERT INTO log.heads VALUES ($1, 2)', [id]);
    await pool.query("UPDATE svc.names SET name = 'broken' WHERE tenant_id = $1", [id]);
    await runner({ projections: [namesOf(2)] });
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'after', updates: 1 }));
  }, 30_000);
});

describe('a checkpoint that somebody else has locked', () => {
  it('holds up nobody else, and is taken up soon after it is free', async () => {
    const [locked, free] = [newId(), newId()];
    const running = await runner();
    for (const id of [locked, free]) await append(id, 'TenantRegistered', { name: 'first' });
    running.appended([locked, free]);
    await until(async () => expect(await nameOf(locked)).toEqual({ name: 'first', updates: 0 }));
    const frozen = await pool.connect();
    await frozen.query('BEGIN');
    await frozen.query('SELECT FROM svc.checkpoints WHERE tenant_id = $1 FOR UPDATE', [locked]);
    for (const id of [locked, free]) await append(id, 'TenantUpdated', { name: 'second' });
    running.appended([locked, free]);
    await until(async () => expect(await nameOf(free)).toEqual({ name: 'second', updates: 1 }));
    expect(await nameOf(locked)).toEqual({ name: 'first', updates: 0 });
    await frozen.query('ROLLBACK');
    frozen.release();
    await until(async () => expect(await nameOf(locked)).toEqual({ name: 'second', updates: 1 }), { timeoutMs: 2_000 });
  });
});

describe('what the database refuses', () => {
  it('is one event that is parked, whatever batch it was in', async () => {
    const id = newId();
    const running = await runner();
    await append(id, 'TenantRegistered', { name: 'ok' });
    await append(id, 'TenantUpdated', { name: 'fine' });
    await append(id, 'TenantUpdated', { name: 'refused' });
    running.appended([id]);
    const parked = async () => (await rows('SELECT position::int, type FROM svc.parked WHERE tenant_id = $1', [id]))[0];
    await until(async () => expect(await parked()).toEqual({ position: 2, type: 'TenantUpdated' }), { timeoutMs: 15_000 });
    expect(await nameOf(id)).toEqual({ name: 'fine', updates: 1 });
  }, 20_000);
});

describe('wake-ups', () => {
  it('come from the bus, on the subjects of what is handled', async () => {
    const id = newId();
    await runner({ wakeUps: new NatsWakeUps(connection, silentLogger) });
    await append(id, 'TenantRegistered', { name: 'woken' });
    wake(id, 'TenantRegistered', {});
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'woken', updates: 0 }));
  });

  it('are believed nothing: what a message says of an event is not applied', async () => {
    const id = newId();
    await runner({ wakeUps: new NatsWakeUps(connection, silentLogger) });
    wake(id, 'TenantRegistered', { name: 'forged' });
    connection.publish('tenantry.events.not-a-tenant.tenant.TenantRegistered', '{}');
    await append(id, 'TenantActivated', {});
    wake(id, 'TenantUpdated', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await nameOf(id)).toBeUndefined();
  });

  it('need not come: the sweep finds what nobody said', async () => {
    const id = newId();
    await runner({ options: { sweepMs: 100 } });
    await append(id, 'TenantRegistered', { name: 'found' });
    await pool.query('INSERT INTO log.heads VALUES ($1, 0)', [id]);
    await until(async () => expect(await nameOf(id)).toEqual({ name: 'found', updates: 0 }));
  });
});

describe("rows in the tenant's schema", () => {
  it('wait for the place to be there, and catch up when its step is said to be done', async () => {
    const id = newId();
    await runner({ projections: [everything], wakeUps: new NatsWakeUps(connection, silentLogger), options: { tenantDelayMs: 50 } });
    await append(id, 'TenantRegistered', { name: 'x' });
    wake(id, 'TenantRegistered', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    await tenants.place(id);
    wake(id, 'TenantRegistered', {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await notesOf(id)).toEqual([]);
    await append(id, 'ProvisioningStepCompleted', { step: 'isolate' });
    wake(id, 'ProvisioningStepCompleted', { step: 'isolate' });
    await until(async () => expect(await notesOf(id)).toHaveLength(2));
  });

  it('are filled again in another place when the tenant has moved', async () => {
    const id = newId();
    await tenants.place(id);
    const running = await runner({ projections: [everything], options: { sweepMs: 100 } });
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    await pool.query('INSERT INTO log.heads VALUES ($1, $2)', [id, at]);
    running.appended([id]);
    await until(async () => expect(await notesOf(id)).toHaveLength(1));
    await until(async () => expect(await rows('SELECT generation FROM svc.hints WHERE tenant_id = $1', [id])).toEqual([{ generation: 1 }]));
    await tenants.move(id, 'svc_notes');
    await until(async () => expect(await notesOf(id)).toHaveLength(1));
    await until(async () => expect(await rows('SELECT generation FROM svc.hints WHERE tenant_id = $1', [id])).toEqual([{ generation: 2 }]));
  });

  it('of a tenant whose database is silent hold up nobody else', async () => {
    const [silent, ...others] = Array.from({ length: 9 }, newId) as [string, ...string[]];
    for (const id of [silent, ...others]) await tenants.place(id);
    const running = await runner({ projections: [everything], options: { concurrency: 1 } });
    const schema = `t_${tenantKey(silent)}`;
    const holder = await pool.connect();
    await holder.query(`BEGIN; LOCK TABLE ${schema}.checkpoints`);
    for (const id of [silent, ...others]) await append(id, 'TenantRegistered', { name: 'x' });
    running.appended([silent]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    running.appended(others);
    await until(async () => {
      for (const id of others) expect(await notesOf(id)).toHaveLength(1);
    });
    expect(await notesOf(silent)).toEqual([]);
    await holder.query('ROLLBACK');
    holder.release();
    await until(async () => expect(await notesOf(silent)).toHaveLength(1));
  });

  it('take many events with few transactions, each once, with two replicas', async () => {
    const id = newId();
    await tenants.place(id);
    const replicas = await Promise.all([runner({ projections: [everything] }), runner({ projections: [everything] })]);
    const before = tenants.transactions;
    for (let n = 0; n < 200; n++) {
      await append(id, 'TenantUpdated', { name: `n${n}` });
      for (const replica of replicas) replica.appended([id]);
    }
    await until(async () =>
      expect((await rows(`SELECT count(*)::int AS n FROM t_${id.replaceAll('-', '')}.svc_notes`))[0]).toEqual({ n: 200 }),
    );
    expect(tenants.transactions - before).toBeLessThan(12);
  });
});

describe('waiting for a position', () => {
  const position = (running: Runner | undefined, projections: Projection[]) =>
    new ReadPosition({ service: 'svc', storage, store, scheduler, projections, processes: [], runner: running });

  it('hurries the runner, and is over when the rows are there', async () => {
    const id = newId();
    await tenants.place(id);
    const running = await runner({ projections: [everything] });
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    expect(await position(running, [everything]).waitFor('tenant', id, at)).toBe(true);
    expect((await rows(`SELECT count(*)::int AS n FROM t_${id.replaceAll('-', '')}.svc_notes`))[0]).toEqual({ n: 1 });
  });

  it('does not wait for events that the rows have nothing to do with', async () => {
    const id = newId();
    const at = await append(id, 'TenantActivated', {});
    expect(await position(undefined, [namesOf()]).waitFor('service', id, at)).toBe(true);
  });

  it("gives up in time where the tenant's database keeps silent", async () => {
    const id = newId();
    await tenants.place(id);
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    const holder = await pool.connect();
    await holder.query(`BEGIN; LOCK TABLE t_${tenantKey(id)}.checkpoints`);
    const begun = performance.now();
    expect(await position(undefined, [everything]).waitFor('tenant', id, at, 200)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(1_000);
    await holder.query('ROLLBACK');
    holder.release();
  });

  it('gives up in time where nobody applies the events', async () => {
    const id = newId();
    const at = await append(id, 'TenantRegistered', { name: 'x' });
    expect(await position(undefined, [namesOf()]).waitFor('service', id, at, 150)).toBe(false);
  });
});
