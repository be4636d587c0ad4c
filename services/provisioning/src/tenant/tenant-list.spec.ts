import { randomUUID } from 'node:crypto';
import { tenantSortColumns } from '@tenantry/contracts/tenant/bodies';
import { urlFor } from '@tenantry/tenancy/login-secret';
import { startPlatform } from '@tenantry/tenancy/spec/platform';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ListTenantsRpc } from './list-tenants.rpc.js';
import type { Resellers } from './resellers.js';

const TENANTS = 10_000;
/** Of the walk through all; over the API a page has 200 at most. */
const PAGE = 2_500;
/** A page, whatever is asked for. */
const WITHIN_MS = 100;

let stop: () => Promise<void>;
let list: (query: Record<string, unknown>) => Promise<{ items: any[]; nextCursor: string | null }>;
let pool: pg.Pool;
const parent = randomUUID();

beforeAll(async () => {
  const platform = await startPlatform();
  pool = new pg.Pool({ connectionString: urlFor(platform.server.url, 'tenantry'), max: 4 });
  await pool.query(
    `INSERT INTO provisioning.tenants (tenant_id, name, slug, status, plan, plan_version, priority, isolation, region, domain, timezone, locale,
       language, currency, theme, tags, activation, created_at, updated_at, version, position, parent_id, price_minor)
     SELECT gen_random_uuid(), (ARRAY['Acme','alpha','Ömer','zeta'])[1 + n % 4] || ' ' || md5(n::text), 'slug-' || n,
       (ARRAY['active','active','active','trial','suspended','archived'])[1 + n % 6], (ARRAY['free','professional','business','enterprise'])[1 + n % 4],
       1, (n % 9) * 10, (ARRAY['shared','dedicated','isolated'])[1 + n % 3], 'region-' || n % 5, 'slug-' || n || '.example', 'UTC', 'en-US', 'en',
       'USD', 'default', jsonb_build_array('group-' || n % 50), 'automatic', now() - n * interval '1 minute', now() - (n % 700) * interval '1 second',
       1, 1, CASE WHEN n % 100 = 0 THEN $1::uuid END, CASE WHEN n % 100 = 7 THEN n * 10000000000 ELSE (n % 4) * 10000 END
     FROM generate_series(1, $2::int) n`,
    [parent, TENANTS],
  );
  await pool.query(
    `INSERT INTO provisioning.tenant_figures SELECT tenant_id, CASE WHEN row % 5 > 0 THEN (row % 1300) / 10.0 END,
       CASE WHEN row % 2 = 0 THEN now() - row * interval '1 second' END, CASE WHEN row % 40 = 0 THEN 1 ELSE 0 END
     FROM (SELECT tenant_id, row_number() OVER (ORDER BY tenant_id) AS row FROM provisioning.tenants) t WHERE row % 7 > 0`,
  );
  await pool.query(
    `UPDATE provisioning.tenants SET users = priority + length(slug) + length(plan), changed_at = CASE WHEN priority > 40 THEN updated_at END,
       failed_operation = CASE WHEN slug LIKE '%9' THEN tenant_id END`,
  );
  await pool.query('ANALYZE provisioning.tenants, provisioning.tenant_figures');
  const rpc = new ListTenantsRpc({ db: drizzle(pool), pool }, { asking: async () => null } as unknown as Resellers);
  list = async (query) => (await rpc.handle({ query, command: { principal: {} } } as never)).body as never;
  stop = async () => {
    await pool.end();
    await platform.stop();
  };
}, 120_000);
afterAll(() => stop?.());

const sorts = tenantSortColumns.flatMap((column) => [column, `-${column}`]);
const filters: Record<string, unknown>[] = [
  {},
  { status: 'active' },
  { tag: 'group-7' },
  { q: 'acme 1' },
  { q: 'nothing has this' },
  { parentId: parent },
];

describe('10,000 tenants', () => {
  it('are all listed once in every order, page by page', async () => {
    // Every column, every other one downwards: both ways differ by a word.
    for (const sort of sorts.filter((_, index) => index % 4 === 0 || index % 4 === 3)) {
      const seen = new Set<string>();
      let pages = 0;
      for (let cursor: string | null | undefined; cursor !== null; pages++) {
        const page = await list({ sort, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
        for (const { id } of page.items) seen.add(id);
        cursor = page.nextCursor;
      }
      expect([sort, seen.size, pages]).toEqual([sort, TENANTS, TENANTS / PAGE]);
    }
  }, 120_000);
  it.each([
    ['users', (row: any) => row.users],
    ['usage', (row: any) => row.usagePercent ?? 0],
    ['mrr', (row: any) => row.mrrMinor],
    ['health', (row: any) => row.health.score],
    ['lastActivity', (row: any) => Date.parse(row.lastActivityAt ?? row.createdAt)],
  ])('are sorted by %s', async (sort, value) => {
    const values: number[] = [];
    let cursor: string | undefined;
    do {
      const page: { items: unknown[]; nextCursor: string | null } = await list({ sort: `-${sort}`, limit: PAGE, cursor });
      values.push(...page.items.map(value));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(values).toHaveLength(TENANTS);
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    expect(new Set(values).size).toBeGreaterThan(3);
  });
  it('say how well they are', async () => {
    const { items } = await list({ sort: 'health', limit: 200 });
    for (const { status, usagePercent, health } of items) {
      const bySelf = (status === 'suspended' ? 25 : 0) + (usagePercent >= 100 ? 60 : usagePercent >= 80 ? 25 : 0);
      expect(100 - health.score - bySelf).toBeGreaterThanOrEqual(health.score === 0 ? -100 : 0);
      expect(health.status).toBe(health.score >= 80 ? 'healthy' : health.score >= 50 ? 'warning' : 'critical');
    }
    const worst = items[0];
    expect(worst.health).toMatchObject({ status: 'critical' });
    const [best] = (await list({ sort: '-health', limit: 1 })).items;
    expect(best.health).toEqual({ status: 'healthy', score: 100 });
  });
  it('refuse a cursor that is none, whatever it says', async () => {
    const made = (sort: string, key: string) =>
      Buffer.from(JSON.stringify([sort, key, '00000000-0000-4000-8000-000000000000'])).toString('base64url');
    for (const [sort, key] of [
      ['mrr', '9223372036854775808'],
      ['users', '2147483648'],
      ['usage', '1e9'],
      ['usage', '-1'],
      ['health', 'x'],
      ['lastActivity', 'yesterday'],
      ['createdAt', '2026-02-30 00:00:00+00'],
      ['createdAt', '0000-01-01 00:00:00+00'],
      ['-createdAt', '2026-01-01 00:00:00+99'],
      ['updatedAt', '2026-01-01 25:00:00+00'],
    ] as const)
      await expect(list({ sort, cursor: made(sort, key) })).rejects.toMatchObject({ code: 'request.invalid' });
    expect((await list({ sort: 'mrr', cursor: made('mrr', '9223372036854775807') })).items).toEqual([]);
  });
  it('are filtered alike in every order', async () => {
    for (const filter of filters) {
      const found = new Set<number>();
      for (const sort of sorts) found.add((await list({ ...filter, sort, limit: 200 })).items.length);
      expect(found.size).toBe(1);
    }
    expect((await list({ parentId: parent, limit: 200 })).items).toHaveLength(TENANTS / 100);
  });
  it('are paged in less than 100 ms, in every order, with every filter, at the beginning and deep inside', async () => {
    const took: { what: string; ms: number }[] = [];
    for (const sort of sorts) {
      const { nextCursor } = await list({ sort, limit: 1, offset: 6_000 });
      for (const query of [...filters, { cursor: nextCursor }, { offset: 9_900 }]) {
        // The best of three: the machine may be busy with other things.
        const times: number[] = [];
        for (let n = 0; n < 3; n++) {
          const begun = performance.now();
          await list({ sort, limit: 50, ...query });
          times.push(performance.now() - begun);
        }
        took.push({ what: `${sort} ${JSON.stringify(query)}`, ms: Math.min(...times) });
      }
    }
    took.sort((a, b) => a.ms - b.ms);
    const [median, slowest] = [took[Math.floor(took.length / 2)], took.at(-1)];
    console.log(
      `${took.length} kinds of pages of ${TENANTS} tenants: the median ${median?.ms.toFixed(1)} ms, the slowest ${slowest?.ms.toFixed(1)} ms (${slowest?.what})`,
    );
    // Other specs share the machine: a slow one here and there says nothing of the query.
    expect(took.filter(({ ms }) => ms > WITHIN_MS).length).toBeLessThan(took.length / 10);
  }, 120_000);
});
