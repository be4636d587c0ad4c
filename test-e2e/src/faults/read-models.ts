import { eventually } from '@tenantry/testing/eventually';
import pg from 'pg';
import { expect } from 'vitest';
import type { System } from '../harness/system.js';
import { kill, untilReady, whileNothingRestarts } from './processes.js';

/** Rows that services keep of logs in their own schemas; in the tenants' schemas every table is one of those. */
const ofServices = ['provisioning.tenants', 'billing.plans'];
const marker = 'replay';

/** One per database that holds tenants. Lives as long as the work. */
async function withDatabases<T>(url: string, work: (pools: pg.Pool[]) => Promise<T>): Promise<T> {
  const pool = (database: string) => {
    const of = new URL(url);
    of.pathname = `/${database}`;
    const made = new pg.Pool({ connectionString: of.href, max: 2 });
    made.on('error', () => undefined); // the next query tells
    return made;
  };
  const control = pool('tenantry');
  const pools = [control];
  try {
    const { rows } = await control.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE datname LIKE 'tenantry\\_t\\_%' ORDER BY 1",
    );
    pools.push(...rows.map(({ datname }) => pool(datname)));
    return await work(pools);
  } finally {
    await Promise.all(pools.map((each) => each.end()));
  }
}

async function tables(pool: pg.Pool, which: 'rows' | 'checkpoints'): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE (schemaname LIKE 't\\_%' OR schemaname = 'shared') AND (tablename = 'checkpoints') = $1 ORDER BY 1`,
    [which === 'checkpoints'],
  );
  const names = rows.map(({ name }) => name);
  if (which === 'checkpoints') return names;
  const { rows: services } = await pool.query<{ name: string }>(
    'SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL',
    [ofServices],
  );
  return [...names, ...services.map(({ name }) => name)];
}

/** Every row of every read model, as text, by table. */
export function dump(url: string): Promise<Map<string, string[]>> {
  return withDatabases(url, async (pools) => {
    const found = new Map<string, string[]>();
    for (const pool of pools) {
      for (const name of await tables(pool, 'rows')) {
        const { rows } = await pool.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM ${name} t ORDER BY 1`);
        found.set(
          `${pool.options.connectionString?.split('/').at(-1)} ${name}`,
          rows.map(({ row }) => row),
        );
      }
    }
    return found;
  });
}

interface Lag {
  service: string;
  consumer: string;
  behind: string;
}

const withHints = `SELECT DISTINCT schemaname AS schema FROM pg_tables WHERE tablename = 'hints'`;

/** Waits until every consumer has looked at every log to its end, and no effect is to be done. Says what was parked, if anything. */
export async function untilSettled(admin: pg.Pool, timeoutMs: number): Promise<void> {
  await eventually(
    async () => {
      const { rows: schemas } = await admin.query<{ schema: string }>(withHints);
      for (const { schema } of schemas) {
        const { rows } = await admin.query<Lag>(
          `SELECT '${schema}' AS service, c.consumer, string_agg(h.tenant_id || ': ' || coalesce(n.position, -1) || ' of ' || h.position, ', ') AS behind
           FROM (SELECT DISTINCT consumer FROM ${schema}.hints) c CROSS JOIN log.heads h
           LEFT JOIN ${schema}.hints n ON n.consumer = c.consumer AND n.tenant_id = h.tenant_id
           WHERE h.position > coalesce(n.position, -1) AND (c.consumer = 'service' OR h.tenant_id IN (SELECT tenant_id FROM tenancy.placements WHERE ready))
           GROUP BY 1, 2`,
        );
        const [lag] = rows;
        if (lag) {
          const { rows: parked } = await admin.query(`SELECT tenant_id, position, error FROM ${schema}.parked`);
          throw new Error(
            `${lag.service} (${lag.consumer}) is behind: ${lag.behind}${parked.length > 0 ? `; parked: ${JSON.stringify(parked)}` : ''}`,
          );
        }
        const { rows: effects } = await admin.query(
          `SELECT name, state, claims, failures, last_error FROM ${schema}.effects WHERE state <> 'done'`,
        );
        if (effects.length > 0) throw new Error(`${schema} has effects to do: ${JSON.stringify(effects.slice(0, 5))}`);
      }
      return true;
    },
    { timeoutMs, intervalMs: 250, what: 'every consumer to have reached the end of every log' },
  );
}

/**
 * Every read model holds what a replay of the logs from zero gives: all rows are made again by the runners themselves (their checkpoints
 * are given a version that nobody has, which is what a changed projection looks like), and compared with those of before.
 */
export async function checkReadModels(system: System, admin: pg.Pool, timeoutMs = 90_000): Promise<{ tables: number; rows: number }> {
  const { postgresUrl, processes } = await system.run();
  const before = await dump(postgresUrl);
  const { rows: schemas } = await admin.query<{ schema: string }>(withHints);
  const names = schemas.map(({ schema }) => schema.replaceAll('_', '-'));
  const runners = processes.filter(({ name }) => names.includes(name));
  // Processes remember where they are, and write it down: new ones look.
  await whileNothingRestarts(system, async () => {
    await Promise.all(runners.map(({ name, replica }) => kill(system, replica === 0 ? name : `${name}-${replica}`)));
    await withDatabases(postgresUrl, async (pools) => {
      for (const pool of pools) {
        for (const name of await tables(pool, 'checkpoints')) await pool.query(`UPDATE ${name} SET version = '${marker}'`);
      }
    });
    for (const { schema } of schemas) {
      await admin.query(`UPDATE ${schema}.checkpoints SET version = '${marker}'`);
      await admin.query(`UPDATE ${schema}.hints SET version = '${marker}'`);
    }
  });
  await untilReady(system, timeoutMs);
  await eventually(
    async () => {
      const left = await withDatabases(postgresUrl, async (pools) => {
        const all = await Promise.all(
          pools.map(async (pool, index) => {
            const own = index === 0 ? schemas.map(({ schema }) => `${schema}.checkpoints`) : [];
            const names = [...(await tables(pool, 'checkpoints')), ...own];
            const found = await Promise.all(
              names.map(async (name) => {
                const { rows } = await pool.query(`SELECT consumer, tenant_id, position FROM ${name} WHERE version = '${marker}'`);
                return rows.map(({ consumer, tenant_id, position }) => `${name} ${consumer} ${tenant_id} (${position})`);
              }),
            );
            return found.flat();
          }),
        );
        return all.flat();
      });
      if (left.length > 0) throw new Error(`not rebuilt yet: ${left.join(', ')}`);
      return true;
    },
    { timeoutMs, intervalMs: 250, what: 'every read model to be rebuilt' },
  );
  await untilSettled(admin, timeoutMs);
  const after = await dump(postgresUrl);
  expect([...after.keys()], 'tables').toEqual([...before.keys()]);
  let rows = 0;
  for (const [name, replayed] of after) {
    expect(before.get(name), `${name} against its replay`).toEqual(replayed);
    rows += replayed.length;
  }
  return { tables: after.size, rows };
}
