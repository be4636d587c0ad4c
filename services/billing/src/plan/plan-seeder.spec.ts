import { readFile } from 'node:fs/promises';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { foldChanges } from '@tenantry/messaging/fold';
import type { RowChange } from '@tenantry/messaging/projection';
import { statementsOf } from '@tenantry/messaging/write';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogueCheck } from './catalogue.check.js';
import { GetPlanRpc } from './get-plan.rpc.js';
import { ListPlansRpc } from './list-plans.rpc.js';
import { PlanSeeder } from './plan-seeder.js';
import { plansProjection } from './plans.projection.js';

let server: RunningPostgres;
let pool: pg.Pool;
let db: NodePgDatabase;
const log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
const seed = () => new PlanSeeder(log).onApplicationBootstrap();
const published = async () => (await log.readLog(PLATFORM_LOG, 0)).events;

beforeAll(async () => {
  server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url });
  db = drizzle(pool);
  const migration = await readFile(new URL('../../migrations/service/0001_plans.sql', import.meta.url), 'utf8');
  await pool.query(`CREATE SCHEMA billing; SET search_path = billing; ${migration} RESET search_path;`);
}, 120_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});
const project = async (events: unknown[]) => {
  const changes = events.map((event) => plansProjection.on.PlanPublished?.(event as never) as RowChange);
  for (const { text, values } of statementsOf(foldChanges(changes))) await pool.query(text, values);
};
const list = async () => (await new ListPlansRpc({ db, pool }).handle({} as never)).body.items;
const get = async (planId: string, version?: number) =>
  (await new GetPlanRpc({ db, pool }).handle({ params: { planId }, query: { version } } as never)).body;

describe('the shipped catalogue', () => {
  it('is published once, however many replicas start, and however often', async () => {
    await Promise.all([seed(), seed(), seed()]);
    await seed();
    const events = await published();
    expect(events.map(({ stream }) => stream).sort()).toEqual([
      'plan-business',
      'plan-enterprise',
      'plan-free',
      'plan-msp',
      'plan-professional',
    ]);
    expect(events.every(({ type }) => type === 'PlanPublished')).toBe(true);
  });

  it('makes the process ready once it can be read', async () => {
    const check = new CatalogueCheck({ db, pool });
    await expect(check.check()).rejects.toThrow('not published yet: free, professional');
    await project(await published());
    await check.check();
  });

  it('is listed by price, with its figures', async () => {
    expect((await list()).map(({ id, version, priceMinor }) => [id, version, priceMinor])).toEqual([
      ['free', 1, 0],
      ['professional', 1, 29_900],
      ['business', 1, 79_900],
      ['enterprise', 1, 199_900],
      ['msp', 1, 299_900],
    ]);
  });

  it('is found by id or alias', async () => {
    expect(await get('pro')).toMatchObject({ id: 'professional', version: 1, retentionDays: 90, limits: { users: 50, api_calls: 10_000 } });
    expect(await get('basic')).toMatchObject({ id: 'free' });
    await expect(get('platinum')).rejects.toMatchObject({ code: 'request.not_found' });
  });

  it('shows the current version, or the one that is named', async () => {
    const [first] = (await published()).filter(({ stream }) => stream === 'plan-business');
    await project([{ ...first, data: { ...(first?.data as object), planVersion: 2, priceMinor: 89_900 } }]);
    expect(await get('business')).toMatchObject({ version: 2, priceMinor: 89_900 });
    expect(await get('business', 1)).toMatchObject({ version: 1, priceMinor: 79_900 });
    await expect(get('business', 3)).rejects.toMatchObject({ code: 'request.not_found' });
    expect((await list()).filter(({ id }) => id === 'business')).toMatchObject([{ version: 2 }]);
  });
});
