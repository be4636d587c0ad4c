import { readdir, readFile } from 'node:fs/promises';
import { newId } from '@tenantry/contracts/ids';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command, upTo } from '../../conformance/given.js';
import { PostgresEventStore } from './postgres-event-store.js';

const migrations = new URL('../../../migrations/', import.meta.url);
let postgres: RunningPostgres;
let pool: pg.Pool;
let store: PostgresEventStore;

beforeAll(async () => {
  // No statistics but what the planner finds by itself: the worst case.
  postgres = await startPostgres({ autovacuum: 'off' });
  pool = new pg.Pool({ connectionString: postgres.url, max: 4 });
  for (const file of (await readdir(migrations)).sort()) await pool.query(await readFile(new URL(file, migrations), 'utf8'));
  store = new PostgresEventStore(pool);
}, 90_000);
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

/** Index entries of events and commands that were read so far. Every connection says what it has read first. */
async function entriesRead(): Promise<number> {
  await Promise.all(upTo(4).map(() => pool.query('SELECT pg_stat_force_next_flush(), pg_sleep(0.05)')));
  const { rows } = await pool.query<{ read: string }>(
    "SELECT sum(idx_tup_read) AS read FROM pg_stat_user_indexes WHERE schemaname = 'log' AND relname ~ '^(events|commands)_'",
  );
  return Number(rows[0]?.read);
}

// A server of its own: nobody else reads.
describe('append() looks at a few rows, however long the log is, also with plans made when it was empty', () => {
  it('in groups of many logs', async () => {
    const tenants = upTo(10).map(newId);
    const append = (version: number, events: number) =>
      Promise.all(
        tenants.map((tenantId) => store.append(command(tenantId, { expectedVersion: version, events: upTo(events).map(() => ({})) }))),
      );
    await append(-1, 1);
    const before = await entriesRead();
    for (let n = 0; n < 10; n++) await append(n * 50, 50);
    for (let n = 0; n < 10; n++) await append(500 + n, 1);
    // 200 commands; each looks at the end of its stream.
    expect((await entriesRead()) - before).toBeLessThan(1_000);
  });

  it('in groups of one log', async () => {
    const hot = newId();
    const before = await entriesRead();
    for (let n = 0; n < 40; n++) {
      await Promise.all(upTo(50).map((k) => store.append(command(hot, { expectedVersion: n * 50 + k - 1 }))));
    }
    // 2,000 commands on one stream, some entries each; reading it whole, once per group, would be over 30,000.
    expect((await entriesRead()) - before).toBeLessThan(20_000);
  });
});

describe.each(['read_logs(uuid[], bigint[], text[], bigint, bigint)', 'read_stream(uuid, text, bigint, text)'])('%s', (name) => {
  it('reads in the order of an index: replacing the function would lose these settings, and make reading many times slower without statistics', async () => {
    const { rows } = await pool.query<{ settings: string[] }>('SELECT proconfig AS settings FROM pg_proc WHERE oid = $1::regprocedure', [
      `log.${name}`,
    ]);
    expect(rows[0]?.settings).toEqual(
      expect.arrayContaining(['enable_sort=off', 'enable_bitmapscan=off', 'enable_seqscan=off', 'plan_cache_mode=force_custom_plan']),
    );
  });
});
