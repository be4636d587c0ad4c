import { readFile } from 'node:fs/promises';
import { SystemClock } from '@tenantry/contracts/clock';
import { DomainError } from '@tenantry/contracts/errors';
import { newId, PLATFORM_LOG } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { MemoryEventStore } from '@tenantry/event-store/adapters/memory/memory-event-store';
import { DefaultTenantLog } from '@tenantry/event-store/tenant-log-default';
import { ComeBack } from '@tenantry/messaging/effects';
import { silentLogger } from '@tenantry/observability/logger';
import { eventually } from '@tenantry/testing/eventually';
import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OperationIndex } from '../operation/operation-index.js';
import { OperationKinds } from '../operation/operation-kinds.js';
import { ForgetJobs } from './forget-jobs.job.js';
import { JobDrive } from './job-drive.js';
import { type ItemOutcome, JobHandler, type JobItem, type NewItem } from './job-handler.js';
import { JobRows } from './job-rows.js';
import { Jobs, type NewJob } from './jobs.js';

let server: RunningPostgres;
let pool: pg.Pool;
const migrations = ['0001_provisioning.sql', '0003_jobs.sql', '0003_jobs_retried.sql'];
beforeAll(async () => {
  server = await startPostgres();
  pool = new pg.Pool({ connectionString: server.url });
  const files = await Promise.all(migrations.map((file) => readFile(new URL(`../../migrations/service/${file}`, import.meta.url), 'utf8')));
  await pool.query(`CREATE SCHEMA provisioning; SET search_path = provisioning; ${files.join(';')}; RESET search_path;`);
}, 120_000);
afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

const command = (): CommandContext => ({
  ...{ id: newId(), requestHash: '' },
  principal: { kind: 'api-key', id: 'key-1', permissions: ['*'] },
});
const tenants = (count: number, item: Partial<NewItem> = {}): NewItem[] =>
  Array.from({ length: count }, () => ({ tenantId: newId(), ...item }));

/** A job of these items, and what its handler does with each. */
async function given(
  items: NewItem[],
  work: (item: JobItem, signal: AbortSignal) => Promise<ItemOutcome | undefined>,
  how: Partial<NewJob> = {},
  Rows = JobRows,
  more: () => Promise<NewItem[]> = async () => [],
) {
  const keyring = new MemoryKeyring();
  const log = new DefaultTenantLog(new MemoryEventStore(), keyring);
  const database = { pool, db: drizzle(pool) };
  const rows = new Rows(database);
  const jobs = new Jobs(log, rows, new OperationIndex(database), new SystemClock(), keyring, new OperationKinds());
  const seen: number[] = [];
  let atOnce = 0;
  const peak = { value: 0 };
  class Handler extends JobHandler {
    readonly type = 'test';
    override async run(item: JobItem, _job: unknown, signal: AbortSignal): Promise<ItemOutcome> {
      seen.push(item.ordinal);
      atOnce += 1;
      peak.value = Math.max(peak.value, atOnce);
      try {
        return (await work(item, signal)) ?? { status: 'succeeded' };
      } finally {
        atOnce -= 1;
      }
    }
  }
  const handler = new Handler();
  handler.more = more;
  const start = { type: 'test', params: { a: 1 }, items, concurrency: 4, ...how };
  const first = command();
  const id = await jobs.start(start, first);
  const at = { id, tenantId: '', type: 'job' };
  const drive = async (driver: string, signal: AbortSignal = new AbortController().signal) => {
    const parts = { log, rows, clock: new SystemClock(), logger: silentLogger, driver };
    const one = await JobDrive.of(id, { causationId: newId() }, { ...parts, paramsOf: () => jobs.params(id), handlerOf: () => handler });
    if (one.idle) return;
    expect(await rows.lease(id, driver)).toBe(true);
    await one.run(signal).finally(() => rows.release(id, driver));
  };
  return {
    ...{ id, at, log, jobs, rows, seen, peak, drive, start: () => jobs.start(start, first) },
    view: async () => (await jobs.view({ id })).view,
    items: async (status?: 'failed' | 'skipped' | 'quarantined' | 'pending') => (await jobs.items(at, { limit: 200, status })).items,
  };
}
const soon = (ms = 5) => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ms));

describe('working on a job', () => {
  it('does every item once, never more at once than it says', async () => {
    const job = await given(tenants(60), () => soon());
    expect(await job.view()).toMatchObject({ status: 'pending', counts: { total: 60, pending: 60 } });
    await job.drive('a');
    expect(job.seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    expect(job.peak.value).toBe(4);
    expect(await job.view()).toMatchObject({
      status: 'succeeded',
      error: null,
      counts: { total: 60, succeeded: 60, pending: 0, failed: 0 },
    });
    expect((await job.items()).every(({ attempts, durationMs }) => attempts === 1 && (durationMs ?? 0) > 1)).toBe(true);
    await job.drive('a');
    expect(job.seen).toHaveLength(60);
  });

  it('begins the next items while it asks for more and writes what is over', async () => {
    let busy = false;
    const whileBusy: number[] = [];
    class Slow extends JobRows {
      override async claim(...args: Parameters<JobRows['claim']>) {
        busy = true;
        return super
          .claim(...args)
          .then((claimed) => soon(60).then(() => claimed))
          .finally(() => (busy = false));
      }
    }
    const work = async ({ ordinal }: JobItem) => {
      if (busy) whileBusy.push(ordinal);
      return soon(20);
    };
    const job = await given(tenants(40), work, { concurrency: 2 }, Slow);
    await job.drive('a');
    expect(job.seen).toHaveLength(40);
    expect(job.peak.value).toBe(2);
    expect(whileBusy.length).toBeGreaterThan(0);
  });

  it('takes on what has become its business meanwhile, in its last wave, until there is nothing any more', async () => {
    const items = [...tenants(2, { wave: 0 }), ...tenants(2, { wave: 1 })];
    const [waits, ...later] = [new ComeBack(1_000), tenants(2), tenants(1), []];
    let asked = 0;
    const job = await given(
      items,
      () => soon(),
      {},
      JobRows,
      async () => {
        if (asked++ === 0) throw waits;
        return later.shift() ?? [];
      },
    );
    await expect(job.drive('a')).rejects.toBe(waits);
    expect((await job.view()).status).toBe('running');
    await job.drive('b');
    expect(await job.view()).toMatchObject({ status: 'succeeded', counts: { total: 7, succeeded: 7 } });
    expect(job.seen.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const { rows } = await pool.query(
      'SELECT wave, total FROM provisioning.job_items JOIN provisioning.jobs USING (operation_id) WHERE operation_id = $1 ORDER BY ordinal',
      [job.id],
    );
    expect(rows.map(({ wave }) => wave)).toEqual([0, 0, 1, 1, 1, 1, 1]);
    expect(rows[0].total).toBe(7);
    // Who isn't the driver any more adds nothing.
    expect(await job.rows.extend(job.id, 'somebody', tenants(1))).toBe(false);
    expect(await job.items()).toHaveLength(7);
  });

  it('is the same job when it is asked for again', async () => {
    const job = await given(tenants(3), () => soon());
    expect(await job.start()).toBe(job.id);
    expect((await job.view()).counts?.total).toBe(3);
    expect(await job.jobs.params(job.id)).toEqual({ a: 1 });
    expect(await job.jobs.startedWith({ id: job.id, tenantId: PLATFORM_LOG, type: 'job' })).toEqual({ a: 1 });
    expect(await job.jobs.startedWith({ id: newId(), tenantId: PLATFORM_LOG, type: 'job' })).toBeNull();
    const { rows } = await pool.query('SELECT params FROM provisioning.jobs WHERE operation_id = $1', [job.id]);
    expect(Object.keys(rows[0].params)).toEqual(['enc']);
  });

  it('goes on after failures, and tries the failed items again when it is told to', async () => {
    let broken = true;
    const job = await given(tenants(10), async ({ ordinal }) => {
      if (broken && ordinal % 5 === 0) throw new DomainError('tenant.not_ready', { detail: 'not yet' });
      return undefined;
    });
    await job.drive('a');
    expect(await job.view()).toMatchObject({
      status: 'failed',
      error: { code: 'operation.items_failed' },
      counts: { failed: 2, succeeded: 8 },
    });
    expect(await job.items('failed')).toMatchObject([
      { status: 'failed', code: 'tenant.not_ready', error: 'not yet', attempts: 1 },
      { status: 'failed', code: 'tenant.not_ready', attempts: 1 },
    ]);
    broken = false;
    await job.jobs.retry(job.at, undefined, command());
    expect((await job.view()).status).toBe('running');
    await job.drive('a');
    expect(await job.view()).toMatchObject({ status: 'succeeded', counts: { failed: 0, succeeded: 10 } });
    expect(job.seen).toHaveLength(12);
  });

  it('leaves what failed in this round as it is when another driver takes over', async () => {
    const items = [...tenants(2, { wave: 0 }), ...tenants(2, { wave: 1 })];
    const job = await given(items, ({ ordinal }) => (ordinal < 3 ? Promise.reject(new DomainError('tenant.not_ready')) : soon()), {
      stopAfterFailures: 1,
      concurrency: 1,
    });
    await job.drive('a');
    await job.jobs.retry(job.at, undefined, command());
    await job.drive('a');
    expect(job.seen).toEqual([0, 0]);
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('b');
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('b');
    expect(job.seen).toEqual([0, 0, 1, 2]);
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('b');
    expect(await job.view()).toMatchObject({ status: 'failed', counts: { failed: 3, succeeded: 1 } });
  });

  it('tries again what failed for a reason of its own making, with a pause in between', async () => {
    let calls = 0;
    const job = await given(tenants(1), async () => {
      calls += 1;
      if (calls < 3) throw new Error('connection terminated unexpectedly');
      return undefined;
    });
    await job.drive('a');
    expect(await job.view()).toMatchObject({ status: 'succeeded' });
    expect((await job.items())[0]).toMatchObject({ attempts: 3, error: null });
  });

  it('begins nothing while it is paused, and goes on where it was', async () => {
    const job = await given(tenants(200), () => soon(30));
    const driven = job.drive('a');
    await eventually(async () => expect(job.seen.length).toBeGreaterThan(4), { timeoutMs: 5_000, what: 'some items to be begun' });
    await job.jobs.pause(job.at, 'lunch', command());
    await driven;
    const done = job.seen.length;
    expect(done).toBeLessThan(200);
    expect(await job.view()).toMatchObject({ status: 'paused', counts: { succeeded: done, pending: 200 - done } });
    await job.drive('a');
    expect(job.seen).toHaveLength(done);
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('a');
    expect((await job.view()).status).toBe('succeeded');
    expect(new Set(job.seen).size).toBe(200);
    expect(job.seen).toHaveLength(200);
  });

  it('pauses by itself after so many failures, and counts anew when it is resumed', async () => {
    const job = await given(tenants(30), () => Promise.reject(new DomainError('tenant.not_ready')), {
      stopAfterFailures: 3,
      concurrency: 1,
    });
    await job.drive('a');
    expect(await job.view()).toMatchObject({
      ...{ status: 'paused', error: { code: 'operation.items_failed' } },
      counts: { failed: 3, pending: 27 },
    });
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('a');
    expect(await job.view()).toMatchObject({ status: 'paused', counts: { failed: 6, pending: 24 } });
  });

  it('pauses after so many failures also where the process dies before it has said so', async () => {
    const job = await given(tenants(30), () => Promise.reject(new DomainError('tenant.not_ready')), {
      stopAfterFailures: 3,
      concurrency: 1,
    });
    const transact = job.log.transact;
    job.log.transact = () => Promise.reject(new Error('the process died'));
    await expect(job.drive('a')).rejects.toThrow('died');
    job.log.transact = transact;
    await job.drive('b');
    expect(await job.view()).toMatchObject({ status: 'paused', counts: { failed: 3, pending: 27 } });
  });

  it('finishes a wave before the next, and pauses after the canary', async () => {
    const items = [...tenants(5, { wave: 1 }), ...tenants(2, { wave: 0 })];
    const job = await given(items, () => soon(), { afterCanary: 'pause' });
    await job.drive('a');
    expect(job.seen.toSorted((a, b) => a - b)).toEqual([5, 6]);
    expect((await job.view()).status).toBe('paused');
    await job.jobs.resume(job.at, undefined, command());
    await job.drive('a');
    expect((await job.view()).status).toBe('succeeded');
    const careful = await given(items, async () => undefined, { afterCanary: 'pause-if-failed' });
    await careful.drive('a');
    expect((await careful.view()).status).toBe('succeeded');
  });

  it('leaves out what has not begun when it is cancelled', async () => {
    const job = await given(tenants(40), () => soon(30));
    const driven = job.drive('a');
    await eventually(async () => expect(job.seen.length).toBeGreaterThan(4), { timeoutMs: 5_000, what: 'some items to be begun' });
    await job.jobs.cancel(job.at, 'changed my mind', command());
    await driven;
    const { status, counts, error } = await job.view();
    expect([status, error?.detail]).toEqual(['cancelled', 'changed my mind']);
    expect((counts?.succeeded ?? 0) + (counts?.skipped ?? 0)).toBe(40);
    expect(counts?.succeeded).toBe(job.seen.length);
    const waiting = await given(tenants(2), async () => undefined);
    await waiting.jobs.pause(waiting.at, undefined, command());
    await waiting.jobs.cancel(waiting.at, undefined, command());
    await waiting.drive('a');
    expect(await waiting.view()).toMatchObject({ status: 'cancelled', counts: { skipped: 2 } });
  });

  it('keeps what a handler says of an item', async () => {
    let asked = 0;
    const job = await given(tenants(3), async ({ ordinal }) => {
      if (ordinal === 0) return { status: 'quarantined', why: { code: 'log.conflict', detail: 'broken' } };
      if (ordinal === 1) return { status: 'skipped', why: { code: 'tenant.not_ready', detail: 'not for this one' } };
      asked += 1;
      if (asked < 3) throw new ComeBack(20);
      return undefined;
    });
    await job.drive('a');
    expect(await job.view()).toMatchObject({ status: 'succeeded', counts: { quarantined: 1, skipped: 1, succeeded: 1 } });
    expect((await job.items()).map(({ attempts, error }) => [attempts, error])).toEqual([
      [1, 'broken'],
      [1, 'not for this one'],
      [1, null],
    ]);
  });
});

describe('a job whose driver dies', () => {
  it('is taken up by another; what the dead one says afterwards counts for nothing', async () => {
    const job = await given(tenants(6), async () => undefined);
    await job.rows.lease(job.id, 'dead');
    const held = await job.rows.claim(job.id, 'dead', 4, false);
    expect(held).toHaveLength(4);
    expect(await job.rows.lease(job.id, 'other')).toBe(false);
    await pool.query(`UPDATE provisioning.jobs SET driver_until = now() - interval '1 second' WHERE operation_id = $1`, [job.id]);
    await job.drive('other');
    expect(await job.view()).toMatchObject({ status: 'succeeded', counts: { succeeded: 6 } });
    await job.rows.settle(
      job.id,
      held.map(({ ordinal, claims }) => ({
        ...{ ordinal, claims, status: 'failed' as const, durationMs: 1, error: null, delayMs: 0, uncounted: false },
      })),
      0,
    );
    expect((await job.rows.counts(job.id)).failed).toBe(0);
    expect(await job.rows.claim(job.id, 'dead', 4, false)).toEqual([]);
  });

  it('goes on after a shutdown in between', async () => {
    const job = await given(
      tenants(20),
      (_item, signal) =>
        new Promise((resolve, reject) => {
          setTimeout(() => resolve(undefined), 40);
          signal.addEventListener('abort', () => reject(new Error('The process is shutting down')), { once: true });
        }),
    );
    const going = new AbortController();
    const driven = job.drive('a', going.signal);
    await soon(100);
    going.abort(new Error('going'));
    await expect(driven).rejects.toThrow(ComeBack);
    expect((await job.rows.counts(job.id)).failed).toBe(0);
    await job.drive('a');
    expect(await job.view()).toMatchObject({ status: 'succeeded', counts: { succeeded: 20 } });
    expect((await job.items()).every(({ attempts }) => attempts === 1)).toBe(true);
  });

  it('gives up an item that never comes to an end because the process dies with it', async () => {
    const job = await given(tenants(1), async () => undefined);
    await pool.query('UPDATE provisioning.job_items SET interruptions = 10 WHERE operation_id = $1', [job.id]);
    await job.drive('a');
    expect(await job.items()).toMatchObject([{ status: 'failed', code: 'operation.item_interrupted' }]);
    expect(job.seen).toEqual([]);
  });

  it('gives up none of those that were only at hand when the process died with another', async () => {
    let isDead = false;
    const job = await given(tenants(40), async ({ ordinal }) => {
      if (ordinal === 3) isDead = true;
      return soon(1);
    });
    const settle = job.rows.settle.bind(job.rows);
    job.rows.settle = (...endings) => (isDead ? Promise.reject(new Error('the process died')) : settle(...endings));
    let deaths = 0;
    for (; deaths < 20; deaths++) {
      isDead = false;
      const died = await job.drive('a').then(
        () => false,
        () => true,
      );
      if (!died) break;
    }
    expect(await job.items('failed')).toMatchObject([{ code: 'operation.item_interrupted' }]);
    expect((await job.view()).counts).toMatchObject({ failed: 1, succeeded: 39 });
    expect(deaths).toBeLessThanOrEqual(10);
  });
});

describe('the items of old jobs', () => {
  it('are removed once the job is over, or where it never came', async () => {
    const done = await given(tenants(2), () => Promise.reject(new DomainError('tenant.not_ready')));
    await done.drive('a');
    const open = await given(tenants(1), async () => undefined);
    const orphan = newId();
    await done.rows.add(orphan, 'test', { enc: '' }, tenants(1));
    const ofAll = { load: (of: never, at: { stream: string }) => (at.stream.endsWith(open.id) ? open : done).log.load(of, at as never) };
    const forget = new ForgetJobs(ofAll as never, done.rows, silentLogger, { values: {} as never });
    await forget.sweep();
    expect(await done.rows.exist(done.id)).toBe(true);
    await pool.query(`UPDATE provisioning.jobs SET created_at = now() - interval '91 days' WHERE operation_id = ANY($1)`, [
      [done.id, open.id, orphan],
    ]);
    await forget.sweep();
    expect(await Promise.all([done.id, open.id, orphan].map((id) => done.rows.exist(id)))).toEqual([false, true, false]);
    expect(await done.view()).toMatchObject({ status: 'failed', counts: { failed: 2 } });
    expect(await done.items()).toEqual([]);
    await expect(done.jobs.retry(done.at, undefined, command())).rejects.toMatchObject({ code: 'operation.not_retriable' });
  });
});
