import { readFile } from 'node:fs/promises';
import type { BillingEvent } from '@tenantry/contracts/billing/events';
import { shippedPlans } from '@tenantry/contracts/plans';
import { foldChanges } from '@tenantry/messaging/fold';
import type { RowChange } from '@tenantry/messaging/projection';
import { statementsOf } from '@tenantry/messaging/write';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { billingSubscriptionsProjection } from './billing-subscriptions.projection.js';
import { cancel, endTrial, open, subscription } from './subscription.js';

let server: RunningPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startPostgres();
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(await readFile(new URL('../../migrations/tenant/0001_billing_subscriptions.sql', import.meta.url), 'utf8'));
}, 120_000);
afterAll(async () => {
  await client?.end();
  await server?.stop();
});
beforeEach(() => client.query('TRUNCATE billing_subscriptions'));

const tenantId = '3f0c9c7e-52a5-4a64-9f0b-0d6a4a3a5d11';
const plan = { ...shippedPlans.business, id: 'business', version: 1, trialDays: 14 };
const opened = open({ plan, timezone: 'UTC', startsAt: '2026-01-31T10:00:00.000Z', billingEmail: { enc: 'key:text' } })(
  subscription.initial,
);
const after = (...events: BillingEvent[]) =>
  events.reduce((state, event) => subscription.evolve(state, event as never), subscription.initial);
const ended = endTrial('2026-02-14T10:00:00.000Z')(after(...opened));
const cancelled = cancel('undone', '2026-02-20T00:00:00.000Z')(after(...opened, ...ended));

const project = async (events: BillingEvent[]) => {
  const changes = events.map((event) => billingSubscriptionsProjection.on[event.type]?.({ ...event, tenantId } as never) as RowChange);
  for (const { text, values } of statementsOf(foldChanges(changes))) await client.query(text, values);
};
const row = async () => (await client.query('SELECT * FROM billing_subscriptions')).rows;

it('has one row, with what the subscription was opened with', async () => {
  await project(opened);
  expect(await row()).toEqual([
    {
      tenant_id: tenantId,
      status: 'trialing',
      plan_id: 'business',
      plan_version: 1,
      price_minor: '79900',
      currency: 'USD',
      timezone: 'UTC',
      opened_at: new Date('2026-01-31T10:00:00.000Z'),
      trial_ends_at: new Date('2026-02-14T10:00:00.000Z'),
      period_start: new Date('2026-01-31T10:00:00.000Z'),
      period_end: new Date('2026-02-14T10:00:00.000Z'),
    },
  ]);
});

it('follows the end of the trial and the cancellation, event by event or in one batch', async () => {
  await project(opened);
  await project(ended);
  expect(await row()).toMatchObject([{ status: 'active', period_start: new Date('2026-02-14T10:00:00.000Z') }]);
  await project(cancelled);
  const oneByOne = await row();
  expect(oneByOne).toMatchObject([{ status: 'cancelled', period_end: new Date('2026-03-14T00:00:00.000Z') }]);
  await client.query('TRUNCATE billing_subscriptions');
  await project([...opened, ...ended, ...cancelled]);
  expect(await row()).toEqual(oneByOne);
});
