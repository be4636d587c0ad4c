import { DomainError } from '@tenantry/contracts/errors';
import { type Encrypted, type EventOf, event, events, personal } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import type { CommandContext } from '@tenantry/contracts/route';
import { MemoryKeyring } from '@tenantry/crypto/memory-keyring';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { MemoryEventStore } from './adapters/memory/memory-event-store.js';
import { aggregate } from './aggregate.js';
import { isIntact } from './hash.js';
import { newStream } from './tenant-log.js';
import { DefaultTenantLog } from './tenant-log-default.js';

const counterEvents = events('tenant', {
  Counted: event({ version: 1, summary: 'It was counted', data: z.object({ by: z.number().int() }) }),
  Noted: event({
    version: 2,
    summary: 'A note was taken',
    subject: (data) => `member-${data.who}`,
    data: z.object({ who: z.string(), note: personal(z.string()), more: z.array(personal(z.string())).optional() }),
  }),
});
const counter = aggregate({
  stream: 'counter',
  events: counterEvents,
  initial: { sum: 0, notes: 0 },
  evolve: (state, stored) => {
    switch (stored.type) {
      case 'Counted':
        return { ...state, sum: state.sum + stored.data.by };
      case 'Noted':
        return { ...state, notes: state.notes + 1 };
      default:
        stored satisfies never;
        return state;
    }
  },
});
type CounterEvent = EventOf<typeof counterEvents>;
const count = (by: number) => (): CounterEvent[] => [{ type: 'Counted', data: { by } }];
const upTo =
  (limit: number, by: number) =>
  (state: { sum: number }): CounterEvent[] =>
    state.sum + by > limit ? [] : count(by)();

const system = (id = newId()) => ({ id, actor: { kind: 'service' as const, id: 'billing' } });
const request = (more: Partial<CommandContext> = {}): CommandContext => ({
  id: newId(),
  requestHash: 'aa',
  principal: { kind: 'staff', id: 'p1', permissions: [] },
  ...more,
});

function setUp() {
  const store = new MemoryEventStore();
  const keyring = new MemoryKeyring();
  return { store, keyring, log: new DefaultTenantLog(store, keyring), tenant: newId() };
}

describe('transact', () => {
  it('appends what was decided and gives the state after it', async () => {
    const { log, tenant } = setUp();
    await log.transact(counter, { tenant, command: system() }, count(1));
    const result = await log.transact(counter, { tenant, command: system() }, () => [...count(2)(), ...count(3)()]);
    expect(result).toMatchObject({ state: { sum: 6 }, version: 2, position: 2, repeated: false });
    expect(result.events.map(({ position }) => position)).toEqual([1, 2]);
    expect(await log.load(counter, { tenant })).toMatchObject({ state: { sum: 6 }, version: 2, position: 2 });
  });

  it('appends nothing where nothing is to be done', async () => {
    const { log, tenant } = setUp();
    expect(await log.transact(counter, { tenant, command: system() }, () => [])).toEqual({
      state: counter.initial,
      events: [],
      version: -1,
      position: -1,
      repeated: false,
    });
    await log.transact(counter, { tenant, command: system() }, count(1));
    expect(await log.transact(counter, { tenant, command: system() }, () => [])).toMatchObject({
      version: 0,
      position: 0,
      state: { sum: 1 },
    });
  });

  it('passes on the refusal of a decision', async () => {
    const { log, tenant, store } = setUp();
    const refuse = () => {
      throw new DomainError('tenant.not_ready');
    };
    await expect(log.transact(counter, { tenant, command: system() }, refuse)).rejects.toMatchObject({ code: 'tenant.not_ready' });
    expect(await store.heads()).toEqual([]);
  });

  it('decides again on the newer state after a conflict, so that no decision is made on an old one', async () => {
    const { log, tenant } = setUp();
    const results = await Promise.all(Array.from({ length: 15 }, () => log.transact(counter, { tenant, command: system() }, upTo(10, 1))));
    expect(results.filter(({ events }) => events.length === 1)).toHaveLength(10);
    expect((await log.load(counter, { tenant })).state.sum).toBe(10);
  });

  it('gives up after 20 conflicts', async () => {
    const { log, tenant, store } = setUp();
    const append = vi.spyOn(store, 'append').mockRejectedValue(new DomainError('log.conflict'));
    await expect(log.transact(counter, { tenant, command: system() }, count(1))).rejects.toMatchObject({ code: 'log.conflict' });
    expect(append).toHaveBeenCalledTimes(20);
  });

  it('gives a repeat the first result and the state of then, without deciding', async () => {
    const { log, tenant } = setUp();
    const command = request();
    const first = await log.transact(counter, { tenant, command }, count(1));
    await log.transact(counter, { tenant, command: system() }, count(5));
    const decide = vi.fn(count(1));
    const again = await log.transact(counter, { tenant, command: { ...command, ifMatch: 40 } }, decide);
    expect(again).toEqual({ ...first, repeated: true });
    expect(decide).not.toHaveBeenCalled();
  });

  it('finds the first result on another stream too', async () => {
    const { log, tenant } = setUp();
    const command = request();
    const first = await log.transact(counter, { tenant, stream: 'counter-1', command }, count(1));
    expect(await log.transact(counter, { tenant, stream: 'counter-2', command }, count(1))).toEqual({ ...first, repeated: true });
    expect((await log.load(counter, { tenant, stream: 'counter-2' })).version).toBe(-1);
  });

  it('gives one result to a command that comes many times at once', async () => {
    const { log, tenant } = setUp();
    const command = request();
    const results = await Promise.all(Array.from({ length: 10 }, () => log.transact(counter, { tenant, command }, count(1))));
    expect(results.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(new Set(results.map(({ position, state }) => JSON.stringify([position, state])))).toHaveLength(1);
  });

  it('refuses another request under the same id', async () => {
    const { log, tenant } = setUp();
    const command = request();
    await log.transact(counter, { tenant, command }, count(1));
    await expect(log.transact(counter, { tenant, command: { ...command, requestHash: 'bb' } }, count(1))).rejects.toMatchObject({
      code: 'idempotency.mismatch',
    });
  });

  it('refuses a stream at another version than If-Match says, before deciding', async () => {
    const { log, tenant } = setUp();
    await log.transact(counter, { tenant, command: request() }, count(1));
    const decide = vi.fn(count(1));
    await expect(log.transact(counter, { tenant, command: request({ ifMatch: 3 }) }, decide)).rejects.toMatchObject({
      code: 'precondition.failed',
    });
    expect(decide).not.toHaveBeenCalled();
    expect(await log.transact(counter, { tenant, command: request({ ifMatch: 0 }) }, count(1))).toMatchObject({ version: 1 });
  });
});

describe('transact with a belief about the stream', () => {
  it('reads nothing where the belief is right', async () => {
    const { log, store, tenant } = setUp();
    const reads = vi.spyOn(store, 'readStream');
    const first = await log.transact(counter, { tenant, command: system() }, count(1), newStream(counter));
    const second = await log.transact(counter, { tenant, command: system() }, count(2), first);
    expect(second).toMatchObject({ state: { sum: 3 }, version: 1, position: 1 });
    expect(reads).not.toHaveBeenCalled();
  });

  it('decides on what is there where it is wrong', async () => {
    const { log, tenant } = setUp();
    await log.transact(counter, { tenant, command: system() }, count(5));
    const late = await log.transact(counter, { tenant, command: system() }, upTo(8, 3), newStream(counter));
    expect(late).toMatchObject({ state: { sum: 8 }, version: 1 });
    expect(await log.transact(counter, { tenant, command: system() }, upTo(8, 1), newStream(counter))).toMatchObject({
      events: [],
      version: 1,
    });
  });

  it('refuses, and does nothing, only on what is there', async () => {
    const { log, tenant } = setUp();
    await log.transact(counter, { tenant, command: system() }, count(1));
    const full = { state: { sum: 100, notes: 0 }, version: 7 };
    expect(await log.transact(counter, { tenant, command: system() }, upTo(100, 1), full)).toMatchObject({ state: { sum: 2 } });
  });

  it('gives a repeat the first result', async () => {
    const { log, tenant } = setUp();
    const command = system();
    const first = await log.transact(counter, { tenant, command }, count(1), newStream(counter));
    await log.transact(counter, { tenant, command: system() }, count(1));
    expect(await log.transact(counter, { tenant, command }, count(1), newStream(counter))).toEqual({ ...first, repeated: true });
  });
});

describe('what is written', () => {
  it('has personal fields encrypted for their subject, and nothing of them in clear', async () => {
    const { log, tenant, store, keyring } = setUp();
    const already = await keyring.encrypt(tenant, 'member-7', 'before');
    const data = { who: '7', note: 'very private', more: ['also private', already] };
    const { events } = await log.transact(counter, { tenant, command: system() }, () => [{ type: 'Noted', data }]);
    const [stored] = (await store.readLog(tenant, 0)).events;
    expect(stored).toEqual(events[0]);
    expect(JSON.stringify(stored)).not.toContain('private');
    const { note, more } = (stored as NonNullable<typeof stored>).data as { note: Encrypted; more: Encrypted[] };
    expect(note.enc).toMatch(new RegExp(`^${tenant}/member-7/1:`));
    expect(await keyring.reveal(tenant, note)).toBe('very private');
    expect(await keyring.reveal(tenant, more[0] as Encrypted)).toBe('also private');
    expect(more[1]).toEqual(already);
    expect(stored && isIntact(stored)).toBe(true);
  });

  it('says who, from where, and on what trace; address and browser encrypted', async () => {
    const { log, tenant, keyring } = setUp();
    const command = request({ ip: '192.0.2.7', userAgent: 'curl/8', traceparent: '00-a-b-01', correlationId: 'r1' });
    const { events } = await log.transact(counter, { tenant, command }, count(1));
    const { metadata } = events[0] as (typeof events)[number];
    expect(metadata).toMatchObject({
      commandId: command.id,
      actor: { kind: 'staff', id: 'p1' },
      traceparent: '00-a-b-01',
      correlationId: 'r1',
    });
    expect((metadata.ip as Encrypted).enc).toMatch(new RegExp(`^${tenant}/principal-p1/`));
    expect(await keyring.reveal(tenant, metadata.ip ?? '')).toBe('192.0.2.7');
    expect(await keyring.reveal(tenant, metadata.userAgent ?? '')).toBe('curl/8');
    const own = await log.transact(counter, { tenant, command: { ...system(), causationId: 'e1' } }, count(1));
    expect(own.events[0]?.metadata).toEqual({
      commandId: expect.any(String),
      actor: { kind: 'service', id: 'billing' },
      causationId: 'e1',
    });
  });

  it('has event ids that follow from the command', async () => {
    const [one, two] = [setUp(), setUp()];
    const command = system();
    const decide = () => [...count(1)(), ...count(2)()];
    const first = await one.log.transact(counter, { tenant: one.tenant, command }, decide);
    const second = await two.log.transact(counter, { tenant: one.tenant, command }, decide);
    expect(first.events.map(({ id }) => id)).toEqual(second.events.map(({ id }) => id));
    expect(first.events[0]?.id).not.toBe(first.events[1]?.id);
  });

  it('asks for all keys at once, and for none where nothing is encrypted', async () => {
    const { log, tenant, keyring } = setUp();
    const keys = vi.spyOn(keyring, 'keys');
    await log.transact(counter, { tenant, command: system() }, count(1));
    expect(keys).not.toHaveBeenCalled();
    const note = (who: string): CounterEvent => ({ type: 'Noted', data: { who, note: 'n' } });
    await log.transact(counter, { tenant, command: request({ ip: '192.0.2.7' }) }, () => [note('1'), note('2')]);
    expect(keys.mock.calls.map(([, subjects]) => [...subjects].sort())).toEqual([['member-1', 'member-2', 'principal-p1', 'requests']]);
  });

  it('is never an event that its schema refuses; the error shows no values', async () => {
    const { log, tenant } = setUp();
    const wrong = () => [{ type: 'Noted', data: { who: 7, note: 'very private' } }] as unknown as CounterEvent[];
    const failure = await log.transact(counter, { tenant, command: system() }, wrong).catch((error: DomainError) => error);
    expect(failure).toMatchObject({ code: 'internal.error', cause: { message: expect.stringContaining('Noted') } });
    expect(String((failure as DomainError).cause)).not.toContain('private');
  });
});
