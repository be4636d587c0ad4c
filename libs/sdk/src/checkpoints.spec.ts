import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { type TemporaryFolder, temporaryFolder } from '@tenantry/testing/tmp';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Chain, type Checkpoint, CheckpointMoved } from './checkpoints.js';
import { FileCheckpoints } from './file-checkpoints.js';
import { PostgresCheckpoints } from './postgres-checkpoints.js';
import { World } from './spec/world.js';

const nothing = async () => undefined;
const chain: Chain = { subscription: 'one', tenantId: randomUUID(), context: 'all' };
const at = (position: number): Checkpoint => ({ position, eventId: randomUUID() });

describe('checkpoints in a file', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  it('are there after a restart', async () => {
    const path = join(folder.path, 'checkpoints.json');
    const first = await FileCheckpoints.open(path);
    expect(await first.load(chain)).toBeNull();
    const last = at(199);
    const chains = Array.from({ length: 20 }, (_, index) => ({ ...chain, context: `c${index}` }));
    for (let position = 0; position < 200; position += 20)
      await Promise.all(chains.map((each) => first.move(each, null, position === 180 ? last : at(position), nothing)));
    const second = await FileCheckpoints.open(path);
    expect(await Promise.all(chains.map((each) => second.load(each)))).toEqual(chains.map(() => last));
    expect(await second.tenants('one')).toEqual([chain.tenantId]);
    expect(await second.tenants('other')).toEqual([]);
  });

  it('stay where they were when the work fails', async () => {
    const path = join(folder.path, 'checkpoints.json');
    const checkpoints = await FileCheckpoints.open(path);
    await checkpoints.move(chain, null, { position: 3, eventId: null }, nothing);
    const work = () => Promise.reject(new Error('no'));
    await expect(checkpoints.move(chain, { position: 3, eventId: null }, at(4), work)).rejects.toThrow('no');
    expect(Object.values(JSON.parse(await readFile(path, 'utf8')))).toEqual([{ position: 3, eventId: null }]);
  });

  it('in a file that is none are refused', async () => {
    const path = join(folder.path, 'checkpoints.json');
    await writeFile(path, '{"half');
    await expect(FileCheckpoints.open(path)).rejects.toThrow();
  });
});

describe('checkpoints in PostgreSQL', () => {
  let postgres: RunningPostgres;
  let pool: pg.Pool;
  let checkpoints: PostgresCheckpoints<pg.PoolClient>;
  let world: World;
  beforeAll(async () => {
    [postgres, world] = await Promise.all([startPostgres(), World.start()]);
    pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
    await pool.query('CREATE SCHEMA own');
    checkpoints = new PostgresCheckpoints(pool, 'own.checkpoints');
    await Promise.all([checkpoints.createTable()]);
    await checkpoints.createTable();
    await pool.query('CREATE TABLE handled (n serial, tenant_id uuid, position bigint)');
  });
  afterEach(() => world.stopSubscriptions());
  afterAll(async () => {
    await world?.stop();
    await pool?.end();
    await postgres?.stop();
  });

  it('move together with the work, or not at all', async () => {
    const tenantId = randomUUID();
    const of = { ...chain, tenantId };
    const insert = (client: pg.PoolClient, position: number) =>
      client.query('INSERT INTO handled (tenant_id, position) VALUES ($1, $2)', [tenantId, position]);
    const first = at(0);
    await checkpoints.move(of, null, first, async (client) => void (await insert(client, 0)));
    await expect(
      checkpoints.move(of, first, at(1), async (client) => {
        await insert(client, 1);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await checkpoints.load(of)).toEqual(first);
    const { rows } = await pool.query('SELECT position FROM handled WHERE tenant_id = $1', [tenantId]);
    expect(rows).toEqual([{ position: '0' }]);
    expect(await checkpoints.tenants('one')).toContain(tenantId);
  });

  it('are moved from where they are by one only', async () => {
    const of = { ...chain, tenantId: randomUUID() };
    for (const from of [null, at(0)]) {
      if (from) await checkpoints.move(of, undefined, from, nothing);
      else await pool.query('DELETE FROM own.checkpoints');
      let worked = 0;
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) =>
          checkpoints.move(of, from, at(1 + index), async () => {
            worked += 1;
            await sleep(5);
          }),
        ),
      );
      expect(worked).toBe(1);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes) if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(CheckpointMoved);
    }
  });

  it('let each event take effect once, with several processes that read one subscription, and some that die', async () => {
    const tenants = Array.from({ length: 5 }, () => randomUUID());
    const subscription = await world.subscription('all', 'all', {
      positions: Object.fromEntries(tenants.map((tenantId) => [tenantId, 0])),
    });
    let alive = 0;
    const start = async () => {
      alive += 1;
      const mine = alive;
      return world.follow<pg.PoolClient>(subscription, {
        checkpoints,
        attempts: 1_000,
        handle: async ({ tenantId, position }, client) => {
          await client.query('INSERT INTO handled (tenant_id, position) VALUES ($1, $2)', [tenantId, position]);
          // One that is about to go does everything but commit.
          if (mine === 1 && position > 10) throw new Error('dying');
        },
      });
    };
    const all = await Promise.all([start(), start(), start()]);
    for (const tenantId of tenants) await world.publish(world.append(tenantId, 60));
    await sleep(300);
    await all[0].running.stop();
    const handled = async () =>
      (await pool.query('SELECT tenant_id, position FROM handled WHERE tenant_id = ANY($1) ORDER BY n', [tenants])).rows;
    await eventually(async () => (await handled()).length >= 300, { timeoutMs: 25_000 });
    // What others had is never taken for forged.
    expect(all.flatMap(({ notices }) => notices.filter(({ kind }) => kind === 'dropped'))).toEqual([]);
    const rows = await handled();
    for (const tenantId of tenants) {
      const positions = rows.filter((row) => row.tenant_id === tenantId).map((row) => Number(row.position));
      expect(positions).toEqual(Array.from({ length: 60 }, (_, position) => position));
    }
  });
});
