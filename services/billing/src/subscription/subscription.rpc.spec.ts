import { randomUUID } from 'node:crypto';
import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { type PlanSnapshot, shippedPlans } from '@tenantry/contracts/plans';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { Timers } from '@tenantry/messaging/effects';
import { beforeEach, describe, expect, it } from 'vitest';
import { plan as planAggregate, publish } from '../plan/plan.js';
import { CancelSubscriptionRpc } from './cancel-subscription.rpc.js';
import { GetSubscriptionRpc } from './get-subscription.rpc.js';
import { OpenSubscriptionRpc } from './open-subscription.rpc.js';
import { TrialEndTimer } from './trial-end.timer.js';

/** Keeps what was asked for; fails as often as it is told to. */
class KeptTimers extends Timers {
  readonly set = new Map<string, string>();
  failures = 0;
  override async schedule(tenantId: string, purpose: string, dueAt: string): Promise<void> {
    if (this.failures-- > 0) throw new Error('the database is gone');
    this.set.set(`${tenantId} ${purpose}`, dueAt);
  }
  override async cancel(tenantId: string, purpose: string): Promise<void> {
    this.set.delete(`${tenantId} ${purpose}`);
  }
}

let clock: ManualClock;
let log: DefaultTenantLog;
let timers: KeptTimers;
let tenantId: string;
beforeEach(() => {
  clock = new ManualClock(Date.parse('2026-01-31T10:00:00.000Z'));
  log = new DefaultTenantLog(new MemoryEventStore(), new MemoryKeyring());
  timers = new KeptTimers();
  tenantId = randomUUID();
});

const caller = { service: 'provisioning' };
const plan = (trialDays: number): PlanSnapshot => ({ ...shippedPlans.business, id: 'business', version: 1, trialDays });
const open = (trialDays = 14, operationId = 'a6d5b4a8-9a0a-4c7a-9a39-4a4f8d1c2b3e') =>
  new OpenSubscriptionRpc(log, timers).handle(
    {
      tenantId,
      operationId,
      plan: plan(trialDays),
      timezone: 'Europe/Berlin',
      startsAt: '2026-01-31T10:00:00.000Z',
      billingEmail: 'money@example.com',
    },
    caller,
  );
const cancel = (operationId = newId()) =>
  new CancelSubscriptionRpc(log, timers, clock).handle({ tenantId, operationId, reason: 'undone' }, caller);
const get = () => new GetSubscriptionRpc(log, clock).handle({ tenantId } as never);
const events = async () => (await log.readLog(tenantId, 0)).events;
const trialEndsAt = '2026-02-14T10:00:00.000Z';
const endTrial = () =>
  new TrialEndTimer(log).fire({
    tenantId,
    purpose: 'trial-end',
    dueAt: trialEndsAt,
    payload: {},
    commandId: '0b9fbf0e-8d35-4d35-8c40-3c6a2f0a4f11',
  });

describe('opening a subscription', () => {
  it('answers with the end of trial and period, and sets the timer', async () => {
    expect(await open()).toEqual({ trialEndsAt, periodEnd: trialEndsAt });
    expect([...timers.set]).toEqual([[`${tenantId} trial-end`, trialEndsAt]]);
  });

  it('stores the billing address encrypted', async () => {
    await open();
    expect(JSON.stringify(await events())).not.toContain('money@example.com');
    expect((await events())[0]).toMatchObject({ type: 'SubscriptionOpened', data: { billingEmail: { enc: expect.any(String) } } });
  });

  it('is done once, however often it is called', async () => {
    await Promise.all([open(), open(), open()]);
    expect(await open()).toEqual({ trialEndsAt, periodEnd: trialEndsAt });
    expect(await events()).toHaveLength(1);
  });

  it('sets the timer at the next call when the process died before it did', async () => {
    timers.failures = 1;
    await expect(open()).rejects.toThrow('the database is gone');
    expect(timers.set.size).toBe(0);
    await open();
    expect(timers.set.size).toBe(1);
    expect(await events()).toHaveLength(1);
  });

  it('sets no timer without a trial', async () => {
    expect(await open(0)).toEqual({ trialEndsAt: null, periodEnd: '2026-02-27T23:00:00.000Z' });
    expect(timers.set.size).toBe(0);
  });
});

describe('the timer of the trial', () => {
  it('ends it once', async () => {
    await open();
    await endTrial();
    await endTrial();
    expect((await events()).map(({ type }) => type)).toEqual(['SubscriptionOpened', 'TrialEnded']);
  });
  it('does nothing after a cancellation', async () => {
    await open();
    await cancel();
    await endTrial();
    expect((await events()).map(({ type }) => type)).toEqual(['SubscriptionOpened', 'SubscriptionCancelled']);
  });
});

describe('cancelling', () => {
  it('removes the timer, and is done once', async () => {
    await open();
    await cancel();
    await cancel();
    expect(timers.set.size).toBe(0);
    expect(await events()).toHaveLength(2);
  });
  it('lets another provisioning open a new one', async () => {
    await open();
    await cancel();
    await open(14, newId());
    expect((await get()).body).toMatchObject({ status: 'trialing' });
  });
});

describe('reading the subscription', () => {
  it('is current at once, with version and position', async () => {
    await open();
    expect(await get()).toMatchObject({
      status: 200,
      version: 0,
      position: { tenantId, position: 0 },
      body: { status: 'trialing', trialEndsAt },
    });
  });
  it('shows the running period', async () => {
    await open(0);
    clock.advance(60 * 86_400_000);
    expect((await get()).body).toMatchObject({ periodStart: '2026-03-30T22:00:00.000Z', periodEnd: '2026-04-29T22:00:00.000Z' });
  });
  it('tells a tenant without a subscription from one that is not there', async () => {
    await expect(get()).rejects.toMatchObject({ code: 'tenant.not_found' });
    const elsewhere = {
      tenant: tenantId,
      stream: 'elsewhere',
      command: { id: newId(), actor: { kind: 'service' as const, id: 'billing' } },
    };
    await log.transact(planAggregate, elsewhere, publish('free', 1, shippedPlans.free));
    await expect(get()).rejects.toMatchObject({ code: 'subscription.not_found' });
  });
});
