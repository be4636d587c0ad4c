import { readFile } from 'node:fs/promises';
import { shippedPlans } from '@tenantry/contracts/plans';
import type { QuotaEvent } from '@tenantry/contracts/quota/events';
import { foldChanges } from '@tenantry/messaging/fold';
import type { RowChange } from '@tenantry/messaging/projection';
import { statementsOf } from '@tenantry/messaging/write';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { quotaQuotasProjection } from './quota-quotas.projection.js';
import { assign, quotas } from './quotas.js';

let server: RunningPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startPostgres();
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(await readFile(new URL('../../migrations/tenant/0001_quota_quotas.sql', import.meta.url), 'utf8'));
}, 120_000);
afterAll(async () => {
  await client?.end();
  await server?.stop();
});

const tenantId = '3f0c9c7e-52a5-4a64-9f0b-0d6a4a3a5d11';
const plan = { ...shippedPlans.free, id: 'free', version: 1, trialDays: 0 };
const assigned = assign({ plan, overrides: { users: 7 }, timezone: 'UTC', startsAt: '2026-01-15T10:00:00.000Z' })(quotas.initial);
const project = async (events: QuotaEvent[]) => {
  const changes = events.flatMap((event) => quotaQuotasProjection.on[event.type]?.({ ...event, tenantId } as never) as RowChange[]);
  for (const { text, values } of statementsOf(foldChanges(changes))) await client.query(text, values);
};
const rows = async () => (await client.query('SELECT resource, kind, unit, quota_limit, source, reset_date FROM quota_quotas')).rows;

it('has a row per resource: limits, and when counters start again', async () => {
  await project(assigned);
  expect(await rows()).toHaveLength(11);
  expect(await rows()).toContainEqual({
    resource: 'users',
    kind: 'gauge',
    unit: 'count',
    quota_limit: '7',
    source: 'override',
    reset_date: null,
  });
  expect(await rows()).toContainEqual({
    resource: 'api_calls',
    kind: 'counter',
    unit: 'count',
    quota_limit: '1000',
    source: 'plan',
    reset_date: new Date('2026-02-15T00:00:00.000Z'),
  });
  expect((await rows()).find(({ resource }) => resource === 'bandwidth')).toMatchObject({ quota_limit: null });
});

it('is empty after a withdrawal', async () => {
  await project([...assigned, { type: 'QuotasWithdrawn', data: { withdrawnAt: '2026-01-16T00:00:00.000Z' } }]);
  expect(await rows()).toEqual([]);
});
