import { randomUUID } from 'node:crypto';
import type { EventName } from '@tenantry/contracts/catalogue';
import type { StoredEvent } from '@tenantry/contracts/events';
import { PLATFORM_LOG } from '@tenantry/contracts/ids';
import { provisioningSteps } from '@tenantry/contracts/tenant/events';
import { operationSteps } from '@tenantry/contracts/tenant/operation-events';
import { fold } from '@tenantry/event-store/aggregate';
import { foldChanges } from '@tenantry/messaging/fold';
import type { RowChange } from '@tenantry/messaging/projection';
import { statementsOf } from '@tenantry/messaging/write';
import { urlFor } from '@tenantry/tenancy/login-secret';
import { startPlatform } from '@tenantry/tenancy/spec/platform';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ListOperationsRpc } from './list-operations.rpc.js';
import { operation, operationView } from './operation.js';
import { operations } from './operation-list.projection.js';
import { stepped, steppedView } from './stepped.js';

let stop: () => Promise<void>;
let pool: pg.Pool;
const tenantId = randomUUID();
/** A minute apart, so that their order is known. */
let minute = 0;

beforeAll(async () => {
  const platform = await startPlatform();
  pool = new pg.Pool({ connectionString: urlFor(platform.server.url, 'tenantry'), max: 2 });
  stop = async () => {
    await pool.end();
    await platform.stop();
  };
}, 120_000);
afterAll(() => stop?.());
beforeEach(async () => {
  await pool.query('TRUNCATE provisioning.operation_list');
});

type Given = [type: EventName, data: Record<string, unknown>];
const stored = (operationId: string, [type, data]: Given, log = tenantId) =>
  ({
    type,
    tenantId: log,
    data: { operationId, ...data },
    recordedAt: new Date(Date.UTC(2026, 0, 1) + 60_000 * minute++).toISOString(),
  }) as unknown as StoredEvent;
async function apply(events: StoredEvent[]): Promise<void> {
  const changes = events.flatMap((event) => operations.on[event.type as EventName]?.(event as never) ?? []) as RowChange[];
  for (const { text, values } of statementsOf(foldChanges(changes))) await pool.query(text, values);
}
const list = async (query: Record<string, unknown> = {}): Promise<{ items: any[]; nextCursor: string | null }> =>
  (await new ListOperationsRpc({ db: drizzle(pool), pool }, {} as never, {} as never).list({ query } as never)).body as never;
const statusOf = async (id: string) => (await list()).items.find((item) => item.id === id)?.status;

const step = { attempt: 1, startedAt: '', durationMs: 1 };
const error = { code: 'internal.error', detail: 'broken' };
const done = (name: string): Given => ['OperationStepCompleted', { ...step, step: name, skipped: false, result: null }];
const undone = (name: string): Given => ['OperationStepCompensated', { ...step, step: name }];
const ended = (status: string): Given => ['OperationEnded', { type: 'move', status, error: status === 'succeeded' ? null : error }];
const failed = (name: string, retryAt: string | null): Given => ['OperationStepFailed', { ...step, step: name, error, retryAt }];

describe('the list of operations', () => {
  const moves: Record<string, Given[]> = {
    'one that succeeds': [...operationSteps.move.map(done), ended('succeeded')],
    'one that fails once': [done('prepare'), failed('copy', 'soon'), done('copy')],
    'one that is undone': [done('prepare'), failed('copy', null), undone('copy'), undone('prepare'), ended('compensated')],
    'one that is cancelled': [done('prepare'), ['OperationCancelRequested', {}], undone('prepare'), ended('cancelled')],
    'one that can only go forward': [done('prepare'), ['OperationCommitted', { step: 'copy' }], failed('copy', null), ended('failed')],
    'one that is tried again': [failed('prepare', null), ended('compensated'), ['OperationRetried', { round: 1 }], done('prepare')],
  };
  it.each(Object.entries(moves))('has a move as it stands, event by event: %s', async (_name, story) => {
    const id = randomUUID();
    const place = { isolation: 'shared', server: 's', database: 'd' };
    await apply([stored(id, ['TenantMoveStarted', { from: place, to: place, keepSourceMinutes: 0 }])]);
    const events: StoredEvent[] = [stored(id, ['OperationStarted', { type: 'move', steps: operationSteps.move, input: {} }])];
    for (const given of [undefined, ...story]) {
      if (given) events.push(stored(id, given));
      await apply(events.slice(-1));
      const view = steppedView({ id, tenantId, type: 'move' }, fold(stepped, events as never), operationSteps.move, '', null);
      const { items } = await list();
      // Whether anything of it is still done when it is tried again, the list doesn't know until the next step.
      const status = given?.[0] === 'OperationRetried' ? 'running' : view.status;
      expect([events.at(-1)?.type, items[0]?.status, items[0]?.error]).toEqual([events.at(-1)?.type, status, view.error]);
      expect(items[0]?.finishedAt).toBe(view.finishedAt);
    }
  });

  const provisionings: Record<string, Given[]> = {
    'one that succeeds': provisioningSteps.map((name) => ['ProvisioningStepCompleted', { ...step, step: name, skipped: false }]),
    'one that is undone': [
      ['ProvisioningStepCompleted', { ...step, step: 'register', skipped: false }],
      ['ProvisioningStepFailed', { ...step, step: 'allocate', error, retryAt: null }],
      ['ProvisioningStepCompensated', { ...step, step: 'register' }],
    ],
    'one that is cancelled': [['ProvisioningCancelRequested', {}]],
  };
  it.each(Object.entries(provisionings))('has a provisioning as it stands, event by event: %s', async (name, story) => {
    const id = randomUUID();
    await apply([stored(id, ['TenantRegistered', {}])]);
    const events: StoredEvent[] = [];
    for (const given of story) {
      events.push(stored(id, given));
      await apply(events.slice(-1));
      const finishedAt = events.length === provisioningSteps.length ? (events.at(-1)?.recordedAt ?? null) : null;
      const view = operationView(id, tenantId, fold(operation, events as never), { createdAt: '', finishedAt, failedAt: null }, null);
      const item = (await list()).items[0];
      expect([item.status, item.error, item.finishedAt]).toEqual([view.status, view.error, finishedAt]);
    }
    if (name === 'one that succeeds') return;
    await apply([stored(id, ['TenantProvisioningFailed', { step: 'allocate', reason: error }])]);
    expect(await statusOf(id)).toBe(name === 'one that is cancelled' ? 'cancelled' : 'compensated');
  });

  it('has deletions from their grace on', async () => {
    const id = randomUUID();
    await apply([stored(id, ['TenantDeletionScheduled', {}])]);
    expect((await list({ tenantId })).items).toEqual([expect.objectContaining({ id, type: 'deletion', status: 'pending', tenantId })]);
    await apply([stored(id, ['TenantErasureStarted', {}])]);
    expect(await statusOf(id)).toBe('running');
    await apply([
      stored(id, ['OperationStarted', { type: 'erasure', steps: operationSteps.erasure, input: {} }]),
      stored(id, ended('succeeded')),
    ]);
    expect((await list()).items).toEqual([expect.objectContaining({ id, type: 'deletion', status: 'succeeded' })]);
    const other = randomUUID();
    await apply([stored(other, ['TenantDeletionScheduled', {}]), stored(other, ['TenantDeletionCancelled', {}])]);
    expect(await statusOf(other)).toBe('cancelled');
  });

  it('has work over many tenants, and rebuilds', async () => {
    const id = randomUUID();
    const counts = { total: 2, pending: 0, succeeded: 1, failed: 1, quarantined: 0, skipped: 0 };
    const job = (...given: Given[]) => apply(given.map((one) => stored(id, one, PLATFORM_LOG)));
    await job(['JobRequested', { type: 'bulk.tags' }], ['JobPaused', { cause: 'failures' }]);
    expect((await list()).items[0]).toMatchObject({
      tenantId: null,
      type: 'bulk.tags',
      status: 'paused',
      error: { code: 'operation.items_failed' },
    });
    await job(['JobResumed', { failed: 1 }]);
    expect((await list()).items[0]).toMatchObject({ status: 'running', error: null });
    await job(['JobEnded', { outcome: 'failed', counts, endedAt: '2026-02-01T00:00:00.000Z' }]);
    expect((await list({ status: 'failed' })).items[0]).toMatchObject({ id, error: { detail: '1 items failed; see the items' } });
    await job(['JobRetried', {}]);
    expect((await list()).items[0]).toMatchObject({ status: 'running', error: null, finishedAt: null });
    await job(['JobPaused', { cause: 'manual' }], ['JobCancelRequested', {}]);
    expect((await list()).items[0]).toMatchObject({ status: 'running', error: { code: 'operation.cancelled' } });
    const rebuild = randomUUID();
    await apply([
      stored(rebuild, ['ProjectionRebuildRequested', { service: 'audit', consumer: 'audit', tenantId }], PLATFORM_LOG),
      stored(rebuild, ['ProjectionRebuildEnded', { succeeded: 1, failed: 0 }], PLATFORM_LOG),
    ]);
    expect((await list({ tenantId, type: 'rebuild' })).items).toEqual([
      expect.objectContaining({ id: rebuild, status: 'succeeded', tenantId }),
    ]);
  });

  it('is read in pages to its end, newest first, also where many began at once', async () => {
    const ids = Array.from({ length: 25 }, () => randomUUID());
    await apply(
      ids.map((id) => ({ ...stored(id, ['TenantDeletionScheduled', {}]), recordedAt: '2026-01-01T00:00:00.123456Z' }) as StoredEvent),
    );
    const seen: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await list({ limit: 4, cursor });
      seen.push(...page.items.map(({ id }) => id));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(ids.toSorted().reverse());
  });

  it.each(['', 'x', '1', `99999999999999999999_${randomUUID()}`, '1_------------------------------------', `1_${randomUUID()}'`])(
    'refuses a cursor that was never given: %s',
    async (cursor) => {
      await expect(list({ cursor })).rejects.toMatchObject({ code: 'request.invalid', errors: [{ field: 'cursor' }] });
    },
  );
});
