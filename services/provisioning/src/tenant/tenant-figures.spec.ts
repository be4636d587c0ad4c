import { randomUUID } from 'node:crypto';
import { DomainError } from '@tenantry/contracts/errors';
import { silentLogger } from '@tenantry/observability/logger';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TenantFigures } from './tenant-figures.job.js';

const TENANTS = 2_300;
const ids = Array.from({ length: TENANTS }, () => randomUUID()).sort();
const [first, second] = ids as [string, string];
let pool: pg.Pool;
let stop: () => Promise<void>;
/** What the other services say. */
let shares: Map<string, { percent: number | null; usedAt: string | null }>;
let parked: string[];
let silent: string | null = null;
let asked: number;

beforeAll(async () => {
  const server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url, max: 2 });
  await pool.query(`CREATE SCHEMA provisioning; CREATE TABLE provisioning.tenants (tenant_id uuid PRIMARY KEY, status text);
    CREATE TABLE provisioning.tenant_figures (tenant_id uuid PRIMARY KEY, usage_percent numeric, used_at timestamptz, parked integer NOT NULL DEFAULT 0)`);
  await pool.query(`INSERT INTO provisioning.tenants SELECT unnest($1::uuid[]), 'active'`, [ids]);
  stop = async () => {
    await pool.end();
    await server.stop();
  };
}, 120_000);
afterAll(() => stop?.());

const call = async ({ name, owner }: { name: string; owner: string }, { after, limit }: { after: string | null; limit: number }) => {
  if (name === 'usage.shares') {
    asked += 1;
    const found = ids.filter((id) => shares.has(id) && (after === null || id > after)).slice(0, limit);
    return { items: found.map((tenantId) => ({ tenantId, ...shares.get(tenantId) })) };
  }
  if (owner === silent) throw new DomainError('service.unavailable');
  return { items: owner === 'audit' ? parked.map((tenantId) => ({ id: randomUUID(), tenantId })) : [] };
};
const refresh = () => {
  asked = 0;
  return new TenantFigures({ pool } as never, { call } as never, silentLogger, { values: {} } as never).refresh();
};
const rows = async (id: string) =>
  (
    await pool.query(
      'SELECT usage_percent::float8 AS percent, used_at, parked, xmin::text, xmax::text FROM provisioning.tenant_figures WHERE tenant_id = $1',
      [id],
    )
  ).rows[0];

it('takes over what other services know of all tenants, in pages, and writes what differs', async () => {
  shares = new Map(ids.map((id, n) => [id, { percent: n % 100, usedAt: n % 2 ? '2026-01-01T00:00:00.000Z' : null }]));
  parked = [first, first];
  await refresh();
  expect(asked).toBe(3);
  const { rows: counted } = await pool.query('SELECT count(*)::int AS n FROM provisioning.tenant_figures');
  expect(counted[0].n).toBe(TENANTS);
  expect(await rows(first)).toMatchObject({ percent: 0, used_at: null, parked: 2 });
  const before = await rows(second);
  shares.set(first, { percent: 120.5, usedAt: null });
  parked = [];
  await refresh();
  expect(await rows(first)).toMatchObject({ percent: 120.5, parked: 0 });
  // Not even locked: that writes to the row, and to the write-ahead log.
  expect(await rows(second)).toEqual(before);
});

it('keeps what is parked where a service does not answer, and nothing of tenants that are gone', async () => {
  parked = [second];
  await refresh();
  silent = 'billing';
  parked = [];
  await refresh();
  expect((await rows(second)).parked).toBe(1);
  silent = null;
  await pool.query(`UPDATE provisioning.tenants SET status = 'deleted' WHERE tenant_id = $1`, [second]);
  await refresh();
  expect(await rows(second)).toBeUndefined();
});
