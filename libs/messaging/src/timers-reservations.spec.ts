import { ManualClock } from '@tenantry/contracts/clock';
import { newId } from '@tenantry/contracts/ids';
import { silentLogger } from '@tenantry/observability/logger';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DueTimer, TimerHandler } from './effects.js';
import { Reservations } from './reservations.js';
import { SystemScheduler } from './scheduler.js';
import { createServiceSchema } from './spec-support.js';
import { DefaultTimers, TimerPoller } from './timers.js';

let postgres: RunningPostgres;
let pool: pg.Pool;

beforeAll(async () => {
  postgres = await startPostgres();
  pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
  await createServiceSchema(pool, 'svc');
}, 90_000);
afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

describe('timers', () => {
  class Handler extends TimerHandler {
    readonly fired: DueTimer[] = [];
    failures = 0;
    constructor(readonly purpose: string) {
      super();
    }
    override async fire(timer: DueTimer): Promise<void> {
      if (this.failures-- > 0) throw new Error('not now');
      this.fired.push(timer);
    }
  }
  const clock = new ManualClock();
  const setUp = (purpose: string) => {
    const handler = new Handler(purpose);
    return {
      handler,
      timers: new DefaultTimers(pool, 'svc'),
      poller: new TimerPoller({ pool, schema: 'svc', handlers: [handler], clock, scheduler: new SystemScheduler(), logger: silentLogger }),
    };
  };
  const inMs = (ms: number) => new Date(clock.nowMs() + ms).toISOString();

  it('fire once when they are due by the injected clock', async () => {
    const { handler, timers, poller } = setUp('trial-end');
    const tenantId = newId();
    const dueAt = inMs(10_000);
    await timers.schedule(tenantId, 'trial-end', dueAt, { plan: 'free' });
    await timers.schedule(tenantId, 'trial-end', dueAt, { plan: 'free' });
    await poller.poll();
    expect(handler.fired).toEqual([]);
    clock.advance(10_000);
    await poller.poll();
    await poller.poll();
    expect(handler.fired).toMatchObject([{ tenantId, purpose: 'trial-end', dueAt, payload: { plan: 'free' } }]);
  });

  it('fire again after a failure, with the same command id', async () => {
    const { handler, timers, poller } = setUp('again');
    handler.failures = 2;
    const tenantId = newId();
    await timers.schedule(tenantId, 'again', inMs(0), {});
    for (let n = 0; n < 3; n++) {
      await poller.poll();
      clock.advance(10_000);
    }
    expect(handler.fired).toHaveLength(1);
  });

  it('do not fire when cancelled', async () => {
    const { handler, timers, poller } = setUp('cancelled');
    const tenantId = newId();
    await timers.schedule(tenantId, 'cancelled', inMs(0), {});
    await timers.cancel(tenantId, 'cancelled');
    clock.advance(1_000);
    await poller.poll();
    expect(handler.fired).toEqual([]);
  });
});

describe('reservations', () => {
  const claim = { claim: 'tenant', ttlMs: 60_000 };

  it('give a name to one of many, and say who has it', async () => {
    const reservations = new Reservations(pool, 'svc');
    const tenants = Array.from({ length: 20 }, () => newId());
    const results = await Promise.all(tenants.map((tenantId) => reservations.reserve('slug', 'acme', { tenantId, ...claim })));
    const winners = tenants.filter((_, n) => results[n] === 'reserved');
    expect(winners).toHaveLength(1);
    for (const result of results) if (result !== 'reserved') expect(result).toEqual({ takenBy: winners[0] });
    expect(await reservations.reserve('slug', 'acme', { tenantId: winners[0] as string, ...claim })).toBe('reserved');
    expect(await reservations.reserve('host', 'acme', { tenantId: tenants[0] as string, ...claim })).toBe('reserved');
  });

  it('hold an expired name until its owner releases it', async () => {
    const reservations = new Reservations(pool, 'svc');
    const [first, second] = [newId(), newId()];
    await reservations.reserve('slug', 'late', { tenantId: first, claim: 'tenant', ttlMs: -1_000 });
    expect(await reservations.reserve('slug', 'late', { tenantId: second, ...claim })).toEqual({ takenBy: first });
    expect(await reservations.expired(10)).toMatchObject([{ kind: 'slug', name: 'late', tenantId: first, claim: 'tenant' }]);
    expect(await reservations.release('slug', 'late', second)).toBe(false);
    expect(await reservations.release('slug', 'late', first)).toBe(true);
    expect(await reservations.reserve('slug', 'late', { tenantId: second, ...claim })).toBe('reserved');
  });

  it('do not expire once confirmed', async () => {
    const reservations = new Reservations(pool, 'svc');
    const tenantId = newId();
    await reservations.reserve('slug', 'kept', { tenantId, claim: 'tenant', ttlMs: -1_000 });
    expect(await reservations.confirm('slug', 'kept', newId())).toBe(false);
    expect(await reservations.confirm('slug', 'kept', tenantId)).toBe(true);
    expect((await reservations.expired(10)).filter(({ name }) => name === 'kept')).toEqual([]);
  });
});
