import { setImmediate as turn } from 'node:timers/promises';
import { DomainError } from '@tenantry/contracts/errors';
import { type EventOf, event, events } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { MemoryEventStore, type MemoryLogs } from './adapters/memory/memory-event-store.js';
import { aggregate } from './aggregate.js';
import type { AppendCommand, AppendResult } from './port.js';
import { DefaultTenantLog } from './tenant-log-default.js';

const seatEvents = events('tenant', {
  SeatTaken: event({ version: 1, summary: 'A seat was taken', data: z.object({ by: z.string() }) }),
});
type SeatEvent = EventOf<typeof seatEvents>;
const seats = aggregate({
  stream: 'seats',
  events: seatEvents,
  initial: { taken: [] as string[] },
  evolve: (state, { data }) => ({ taken: [...state.taken, data.by] }),
});
const timedSeats = aggregate({
  stream: 'seats',
  events: seatEvents,
  initial: { taken: [] as string[], at: [] as string[] },
  evolve: (state, { data, recordedAt }) => ({ taken: [...state.taken, data.by], at: [...state.at, recordedAt] }),
});
const take =
  (by: string, of = 1_000) =>
  ({ taken }: { taken: string[] }): SeatEvent[] => {
    if (taken.length >= of) throw new DomainError('tenant.not_ready');
    return taken.includes(by) ? [] : [{ type: 'SeatTaken', data: { by } }];
  };
const command = (id = newId()) => ({ id, actor: { kind: 'service' as const, id: 'test' } });

/** A store whose appends wait for `open`. */
class GatedStore extends MemoryEventStore {
  readonly waiting: AppendCommand[] = [];
  private gates: (() => void)[] = [];
  closed = true;

  constructor(readonly all: MemoryLogs) {
    super({ logs: all });
  }

  /** Every log is what it was when `older` was copied. */
  setBack(older: MemoryLogs): void {
    this.all.clear();
    for (const [tenant, log] of structuredClone(older)) this.all.set(tenant, log);
  }

  override async append(given: AppendCommand): Promise<AppendResult> {
    if (this.closed) {
      this.waiting.push(given);
      await new Promise<void>((open) => this.gates.push(open));
    }
    return super.append(given);
  }

  open(): void {
    this.closed = false;
    for (const gate of this.gates.splice(0)) gate();
  }
}

function setUp() {
  const logs: MemoryLogs = new Map();
  const store = new GatedStore(logs);
  const keyring = new MemoryKeyring();
  const log = new DefaultTenantLog(store, keyring);
  const elsewhere = new DefaultTenantLog(new MemoryEventStore({ logs }), keyring);
  const tenant = newId();
  return { store, log, elsewhere, tenant, reads: vi.spyOn(store, 'readStream') };
}
const settle = async () => {
  for (let n = 0; n < 20; n++) await turn();
};

describe('commands on one stream', () => {
  it('are each decided on what the one before will leave, and appended together', async () => {
    const { store, log, tenant, reads } = setUp();
    const results = ['a', 'b', 'c'].map((by) => log.transact(seats, { tenant, command: command() }, take(by)));
    await settle();
    expect(store.waiting.map(({ expectedVersion }) => expectedVersion)).toEqual([-1, 0, 1]);
    expect(store.waiting.map(({ expectedEventId }) => expectedEventId)).toEqual([
      undefined,
      store.waiting[0]?.events[0]?.id,
      store.waiting[1]?.events[0]?.id,
    ]);
    store.open();
    expect((await Promise.all(results)).map(({ version, position, state }) => [version, position, state.taken])).toEqual([
      [0, 0, ['a']],
      [1, 1, ['a', 'b']],
      [2, 2, ['a', 'b', 'c']],
    ]);
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('are refused, or find nothing to do, only on what the log has', async () => {
    const { store, log, tenant, reads } = setUp();
    const order: string[] = [];
    const of = (by: string, limit: number) =>
      log.transact(seats, { tenant, command: command() }, take(by, limit)).then(
        ({ events, version }) => order.push(`${by} ${events.length} ${version}`),
        (error: DomainError) => order.push(`${by} ${error.code}`),
      );
    const all = [of('a', 2), of('a', 2), of('b', 2), of('c', 2)];
    await settle();
    // The second one says the first has done it already: is not answered before the first is in the log.
    expect(order).toEqual([]);
    expect(store.waiting).toHaveLength(1);
    store.open();
    await Promise.all(all);
    expect(order).toEqual(['a 1 0', 'a 0 0', 'b 1 1', 'c tenant.not_ready']);
    expect(reads.mock.calls.length).toBeLessThanOrEqual(3);
  });

  it('are decided again when the log says otherwise, also where somebody else has brought it to the same version', async () => {
    const { store, log, elsewhere, tenant } = setUp();
    const results = ['a', 'b', 'c'].map((by) => log.transact(seats, { tenant, command: command() }, take(by, 3)));
    const outcomes = Promise.allSettled(results);
    await settle();
    // Version 0 is theirs now: what was decided as the third event would find the version that it expects, after somebody else's second.
    await elsewhere.transact(seats, { tenant, command: command() }, take('theirs'));
    await elsewhere.transact(seats, { tenant, command: command() }, take('theirs too'));
    store.open();
    expect((await outcomes).map((result) => (result.status === 'fulfilled' ? result.value.state.taken : result.reason.code))).toEqual([
      ['theirs', 'theirs too', 'a'],
      'tenant.not_ready',
      'tenant.not_ready',
    ]);
    expect((await elsewhere.load(seats, { tenant })).state.taken).toEqual(['theirs', 'theirs too', 'a']);
  });

  it('go on after one that was repeated', async () => {
    const { store, log, elsewhere, tenant } = setUp();
    const known = command();
    const first = await elsewhere.transact(seats, { tenant, command: known }, take('a'));
    const results = [
      log.transact(seats, { tenant, command: command() }, take('b')),
      log.transact(seats, { tenant, command: known }, take('x')),
      log.transact(seats, { tenant, command: command() }, take('c')),
    ];
    await settle();
    store.open();
    const [b, again, c] = await Promise.all(results);
    expect(again).toEqual({ ...first, repeated: true });
    expect([b?.state.taken, c?.state.taken]).toEqual([
      ['a', 'b'],
      ['a', 'b', 'c'],
    ]);
  });

  it('go on after one whose append failed', async () => {
    const { store, log, tenant } = setUp();
    const append = vi.spyOn(store, 'append').mockImplementationOnce(async () => {
      await settle();
      throw new DomainError('service.unavailable');
    });
    store.closed = false;
    const results = await Promise.allSettled(['a', 'b', 'c'].map((by) => log.transact(seats, { tenant, command: command() }, take(by))));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect((await log.load(seats, { tenant })).state.taken).toEqual(['b', 'c']);
    expect(append.mock.calls.length).toBeGreaterThan(3);
  });

  it('wait for each other where the state holds what only the log knows', async () => {
    const { store, log, tenant } = setUp();
    const results = ['a', 'b', 'c'].map((by) => log.transact(timedSeats, { tenant, command: command() }, take(by)));
    await settle();
    expect(store.waiting).toHaveLength(1);
    store.open();
    const [, , last] = await Promise.all(results);
    const { events } = await log.load(timedSeats, { tenant });
    expect(last?.state).toEqual({ taken: ['a', 'b', 'c'], at: events.map(({ recordedAt }) => recordedAt) });
  });

  it('are refused by If-Match on a version that is not yet there', async () => {
    const { store, log, tenant } = setUp();
    const request = (ifMatch: number) => ({
      id: newId(),
      requestHash: 'aa',
      principal: { kind: 'staff' as const, id: 'p1', permissions: [] },
      ifMatch,
    });
    const first = log.transact(seats, { tenant, command: command() }, take('a'));
    const matches = log.transact(seats, { tenant, command: request(0) }, take('b'));
    const stale = log.transact(seats, { tenant, command: request(0) }, take('c')).catch(({ code }: DomainError) => code);
    await settle();
    store.open();
    await first;
    expect((await matches).version).toBe(1);
    expect(await stale).toBe('precondition.failed');
  });

  it('leave little behind in memory', async () => {
    const { store, log, tenant } = setUp();
    store.closed = false;
    await Promise.all(
      Array.from({ length: 1_200 }, (_, n) => log.transact(seats, { tenant: n % 2 ? tenant : newId(), command: command() }, take(`${n}`))),
    );
    expect(log.streams).toEqual({ inUse: 0, idle: 500 });
  });

  it('that follow soon are decided without reading again, and are right where somebody else was there meanwhile', async () => {
    const { store, log, elsewhere, tenant, reads } = setUp();
    store.closed = false;
    await log.transact(seats, { tenant, command: command() }, take('a'));
    await log.transact(seats, { tenant, command: command() }, take('b'));
    expect(reads).toHaveBeenCalledTimes(1);
    await elsewhere.transact(seats, { tenant, command: command() }, take('c'));
    expect((await log.transact(seats, { tenant, command: command() }, take('c'))).events).toEqual([]);
    expect((await log.transact(seats, { tenant, command: command() }, take('d', 4))).state.taken).toEqual(['a', 'b', 'c', 'd']);
    await expect(log.transact(seats, { tenant, command: command() }, take('e', 4))).rejects.toMatchObject({ code: 'tenant.not_ready' });
  });

  it('are decided on the log as it is after it was set back to an older copy', async () => {
    const { store, log, tenant } = setUp();
    store.closed = false;
    await log.transact(seats, { tenant, command: command() }, take('a'));
    const older = structuredClone(store.all);
    for (const by of ['b', 'c']) await log.transact(seats, { tenant, command: command() }, take(by));
    store.setBack(older);
    // Refused on what was known; in the older copy it is not.
    expect((await log.transact(seats, { tenant, command: command() }, take('b', 2))).state.taken).toEqual(['a', 'b']);
    store.setBack(older);
    expect((await log.transact(seats, { tenant, command: command() }, take('x', 2))).state.taken).toEqual(['a', 'x']);
    store.setBack(new Map());
    expect((await log.transact(seats, { tenant, command: command() }, take('a'))).version).toBe(0);
  });

  it('of several processes come to one history, in which nobody acted on what was not so', async () => {
    const { store, tenant } = setUp();
    store.closed = false;
    const logs = [0, 1, 2].map(() => new DefaultTenantLog(store, new MemoryKeyring()));
    // Each takes a seat only where the one before it has been taken: no decision on another state can pass.
    const nextOf = ({ taken }: { taken: string[] }): SeatEvent[] => [{ type: 'SeatTaken', data: { by: `${taken.length}` } }];
    await Promise.all(
      Array.from({ length: 90 }, async (_, n) => {
        await turn();
        await logs[n % 3]?.transact(seats, { tenant, command: command() }, nextOf);
      }),
    );
    const { state } = await (logs[0] as DefaultTenantLog).load(seats, { tenant });
    expect(state.taken).toEqual(Array.from({ length: 90 }, (_, n) => `${n}`));
  });
});
