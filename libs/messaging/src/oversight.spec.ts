import { newId } from '@tenantry/contracts/ids';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Consumer } from './consumer.js';
import { CheckpointLocked } from './consumer-rows.js';
import { Oversight } from './oversight.js';
import { Rebuilds } from './rebuilds.js';
import { SystemScheduler } from './scheduler.js';
import { createServiceSchema } from './spec-support.js';

let postgres: RunningPostgres;
let pool: pg.Pool;
let oversight: Oversight;
const consumers = [
  { name: 'service', version: 'v1', placement: 'service', projections: [{ name: 'names' }] },
  { name: 'audit', version: 'v1', placement: 'tenant', projections: [{ name: 'notes' }] },
] as Consumer[];

beforeAll(async () => {
  postgres = await startPostgres();
  pool = new pg.Pool({ connectionString: postgres.url, max: 4 });
  await pool.query(`
    CREATE SCHEMA log; CREATE TABLE log.heads (tenant_id uuid PRIMARY KEY, position bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE log.events (tenant_id uuid, position bigint, recorded_at timestamptz);
    CREATE SCHEMA tenancy; CREATE TABLE tenancy.placements (tenant_id uuid PRIMARY KEY, generation bigint, ready bool NOT NULL)`);
  await createServiceSchema(pool, 'svc');
  oversight = new Oversight(pool, 'audit', 'svc', () => consumers);
}, 60_000);
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

const log = async (head: number, { ready = true, ageSeconds = 0 } = {}) => {
  const id = newId();
  await pool.query("INSERT INTO log.heads VALUES ($1, $2, now() - $3 * interval '1 s')", [id, head, ageSeconds]);
  if (ready) await pool.query('INSERT INTO tenancy.placements VALUES ($1, 1, true)', [id]);
  return id;
};
const hint = (consumer: string, id: string, position: number) =>
  pool.query("INSERT INTO svc.hints VALUES ($1, $2, 'v1', 1, $3)", [consumer, id, position]);
const statesOf = async (tenantId: string) =>
  Object.fromEntries((await oversight.list({ after: null, limit: 10, tenantId })).map((item) => [item.consumer, item.state]));

describe('consumers', () => {
  it('run, stand still, wait for a place, or are parked', async () => {
    const [running, still, homeless, parked] = [
      await log(5),
      await log(5, { ageSeconds: 90 }),
      await log(5, { ready: false }),
      await log(5),
    ];
    await hint('audit', running, 5);
    await hint('audit', still, 3);
    await pool.query(
      "INSERT INTO svc.parked (consumer, tenant_id, position, event_id, error, attempts) VALUES ('audit', $1, 4, $2, 'broken\nat x', 5)",
      [parked, newId()],
    );
    expect((await statesOf(running))['audit']).toBe('running');
    expect((await statesOf(still))['audit']).toBe('stopped');
    expect((await statesOf(homeless))['audit']).toBe('stopped');
    expect(await oversight.list({ after: null, limit: 10, state: 'parked' })).toEqual([
      { service: 'audit', consumer: 'audit', tenantId: parked, position: -1, head: 5, state: 'parked', error: 'broken' },
    ]);
  });

  it('are behind by so many events, the oldest of which is so old', async () => {
    await pool.query('DELETE FROM log.heads');
    const id = await log(9);
    await hint('service', id, 9);
    await hint('audit', id, 4);
    await pool.query("INSERT INTO log.events VALUES ($1, 5, now() - interval '30 s')", [id]);
    const lag = new Map((await oversight.lag()).map((each) => [each.consumer, each]));
    expect(lag.get('service')).toMatchObject({ events: 0, seconds: 0 });
    expect(lag.get('audit')).toMatchObject({ events: 5 });
    expect(lag.get('audit')?.seconds).toBeGreaterThanOrEqual(30);
  });

  it('are found by the name of a projection too', () => {
    expect(['names', 'notes', 'audit', 'nothing'].map((name) => oversight.consumerOf(name))).toEqual(['service', 'audit', 'audit', null]);
  });
});

describe('what is parked', () => {
  const effect = async () => {
    const id = newId();
    await pool.query(
      "INSERT INTO svc.effects (id, tenant_id, name, payload, causation_id, state, failures, last_error) VALUES ($1, $2, 'mail', '{}', $3, 'parked', 20, 'no server')",
      [id, newId(), newId()],
    );
    return id;
  };
  const timer = async () => {
    const { rows } = await pool.query<{ id: string }>(
      "INSERT INTO svc.timers (tenant_id, purpose, due_at, payload, state, next_attempt_at) VALUES ($1, 'trial', now(), '{}', 'parked', now()) RETURNING id",
      [newId()],
    );
    return rows[0]?.id as string;
  };
  const stateOf = async (table: string, id: string) =>
    (await pool.query(`SELECT state, last_error FROM svc.${table} WHERE id = $1`, [id])).rows[0];

  it('may be an effect or a timer, which are tried again from the start', async () => {
    for (const [table, id] of [
      ['effects', await effect()],
      ['timers', await timer()],
    ] as const) {
      const [item] = await oversight.parked({ after: null, limit: 1, id });
      expect(item).toMatchObject({ id, consumer: table, position: null });
      expect(await oversight.settle(id, null)).toMatchObject({ id });
      expect(await stateOf(table, id)).toMatchObject({ state: 'pending' });
      expect(await oversight.settle(id, null)).toBeNull();
    }
  });

  it('of an erased tenant is what is left to be done at its end, and no event', async () => {
    const id = await timer();
    const { rows } = await pool.query('SELECT tenant_id FROM svc.timers WHERE id = $1', [id]);
    const { tenant_id: tenantId } = rows[0];
    await pool.query(
      "INSERT INTO svc.parked (consumer, tenant_id, position, event_id, error, attempts) VALUES ('audit', $1, 0, $2, 'x', 5)",
      [tenantId, newId()],
    );
    expect(await oversight.parked({ after: null, limit: 9, tenantId })).toHaveLength(2);
    await pool.query('INSERT INTO tenancy.erased VALUES ($1)', [tenantId]);
    expect(await oversight.parked({ after: null, limit: 9, tenantId })).toMatchObject([{ id, kind: 'timer' }]);
    expect(await oversight.settle(id, null)).toMatchObject({ kind: 'timer' });
  });

  it('is left out for good, with who and why', async () => {
    const [one, other] = [await effect(), await timer()];
    await oversight.settle(one, { by: 'staff:eve', reason: 'sent by hand' });
    await oversight.settle(other, { by: 'staff:eve', reason: 'not needed' });
    expect(await stateOf('effects', one)).toEqual({ state: 'done', last_error: 'left out by staff:eve: sent by hand\nno server' });
    expect(await stateOf('timers', other)).toMatchObject({ state: 'cancelled' });
  });

  it('can be left out only where one event is at fault', async () => {
    const tenantId = newId();
    const { rows } = await pool.query<{ id: string }>(
      "INSERT INTO svc.parked (consumer, tenant_id, position, event_id, error, attempts, type) VALUES ('audit', $1, 0, $1, 'x', 5, 'rebuild') RETURNING id",
      [tenantId],
    );
    expect(await oversight.settle(rows[0]?.id as string, { by: 'x', reason: 'y' })).toBeNull();
    expect((await pool.query('SELECT FROM svc.parked WHERE tenant_id = $1', [tenantId])).rowCount).toBe(1);
  });
});

describe('rebuilds that were asked for', () => {
  it('are done once each by two replicas, tried again, and counted', async () => {
    await pool.query('DELETE FROM log.heads');
    const ids = await Promise.all(Array.from({ length: 12 }, () => log(3)));
    const operationId = newId();
    await oversight.rebuild(operationId, 'audit', null);
    await oversight.rebuild(operationId, 'audit', null);
    expect(await oversight.progress(operationId)).toEqual({ total: 12, pending: 12, succeeded: 0, failed: 0 });
    const done: string[] = [];
    const [busy, broken] = [ids[0] as string, ids[1] as string];
    const replicas = Array.from({ length: 2 }, () => {
      return new Rebuilds({
        pool,
        schema: 'svc',
        scheduler: new SystemScheduler(),
        logger: silentLogger,
        pollMs: 50,
        rebuild: async (_consumer, tenantId) => {
          if (tenantId === broken) throw new Error('cannot be rebuilt');
          if (tenantId === busy && !done.includes('was locked')) {
            done.push('was locked');
            throw new CheckpointLocked();
          }
          done.push(tenantId);
          return 4;
        },
      });
    });
    for (const replica of replicas) replica.start();
    await eventually(async () => (await oversight.progress(operationId)).pending === 0, { timeoutMs: 20_000 });
    await Promise.all(replicas.map((replica) => replica.stop()));
    expect(done.toSorted()).toEqual([...ids.filter((id) => id !== broken), 'was locked'].toSorted());
    expect(await oversight.progress(operationId)).toEqual({ total: 12, pending: 0, succeeded: 11, failed: 1 });
    const failed = await oversight.items({ operationId, after: null, limit: 5, status: 'failed' });
    expect(failed).toMatchObject([{ tenantId: broken, attempts: 5, error: 'Error: cannot be rebuilt' }]);
  }, 30_000);
});
