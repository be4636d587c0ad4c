import { randomUUID } from 'node:crypto';
import type { StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../conformance/given.js';
import { eventStoreConformance } from '../../conformance.js';
import { bodyHash, isIntact } from '../../hash.js';
import type { AppendCommand, EventStore, PreparedEvent } from '../../port.js';
import { streamOf } from './recorded.js';
import { CopyForTest, kurrentDbUrl } from './spec-support.js';

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index);
const HMAC = 'ab'.repeat(32);
const OTHER_HMAC = 'cd'.repeat(32);

const hashed = ({ tenantId, stream }: AppendCommand, body: Omit<PreparedEvent, 'bodyHash'>): PreparedEvent => ({
  ...body,
  bodyHash: bodyHash({ tenantId, stream, ...body }),
});

describe.skipIf(!kurrentDbUrl)('on a KurrentDB server', () => {
  let test: CopyForTest;
  beforeAll(async () => {
    test = await CopyForTest.start(kurrentDbUrl as string);
    test.follow();
  }, 90_000);
  afterAll(() => test?.stop());

  eventStoreConformance('KurrentDB', async (options) => test.store(options));

  async function whole(store: EventStore, tenantId: string): Promise<StoredEvent[]> {
    return (await store.readLog(tenantId, 0, { limit: 100_000 })).events;
  }

  describe('what the server holds', () => {
    it('is a stream per tenant whose revisions are the positions, with the events’ own ids', async () => {
      const tenantId = newId();
      const given = command(tenantId, { requestHmac: HMAC, events: [{ context: 'tenant' }, { context: 'billing', version: 3 }] });
      const { events } = await test.store().append(given);
      const held = [];
      for await (const { event } of test.client().readStream(streamOf(tenantId))) held.push(event);
      expect(held.map((event) => [Number(event?.revision), event?.type, event?.id, event?.data])).toEqual([
        [0, 'tenant.ThingHappened.v1', given.events[0]?.id, { n: 1 }],
        [1, 'billing.ThingHappened.v3', given.events[1]?.id, { n: 1 }],
      ]);
      expect(held[1]?.metadata).toMatchObject({
        commandId: given.commandId,
        log: {
          stream: 'thing',
          streamVersion: 1,
          leaf: events[1]?.leaf,
          command: { id: given.commandId, requestHmac: HMAC, index: 1, count: 2 },
        },
      });
    });
  });

  describe('several processes', () => {
    it('meet on a tenant’s log without anyone noticing, as long as they write different streams', async () => {
      const tenantId = newId();
      const stores = upTo(4).map(() => test.store());
      await Promise.all(
        stores.map(async (store, n) => {
          for (let version = -1; version < 24; version++)
            await store.append(command(tenantId, { stream: `s${n}`, expectedVersion: version }));
        }),
      );
      const log = await whole(stores[0] as EventStore, tenantId);
      expect(log.map(({ position }) => position)).toEqual(upTo(100));
      for (const n of upTo(4)) expect(log.filter(({ stream }) => stream === `s${n}`).map((e) => e.streamVersion)).toEqual(upTo(25));
      expect(log.every(isIntact)).toBe(true);
    }, 30_000);

    it('that try one command with different bytes both answer what is stored', async () => {
      const [a, b] = [test.store(), test.store()];
      for (const n of upTo(5)) {
        const tenantId = newId();
        await a.append(command(tenantId, { stream: 'before' }));
        const first = command(tenantId, { commandId: `c${n}`, events: [{ data: { from: 'a' } }] });
        // As every event id is: of the command.
        const other = {
          ...first,
          events: first.events.map(({ bodyHash: _, ...event }) => hashed(first, { ...event, data: { from: 'b' } })),
        };
        const answers = await Promise.all([a.append(first), b.append(other)]);
        const [, stored] = await whole(a, tenantId);
        expect(answers.map(({ events }) => events)).toEqual([[stored], [stored]]);
        expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['appended', 'repeated']);
      }
    }, 30_000);

    it('that try one command id for different requests: one is done, the other refused', async () => {
      const [a, b] = [test.store(), test.store()];
      const tenantId = newId();
      const first = command(tenantId, { commandId: 'c', requestHmac: HMAC });
      const other = { ...first, requestHmac: OTHER_HMAC };
      const results = await Promise.allSettled([a.append(first), b.append(other)]);
      expect(results.map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code)).sort()).toEqual([
        'done',
        'idempotency.mismatch',
      ]);
      expect(await whole(a, tenantId)).toHaveLength(1);
    });

    it('see each other’s appends in readStream at once, whether they are copied or not', async () => {
      const [a, b] = [test.store(), test.store()];
      const tenantId = newId();
      for (const version of upTo(20)) {
        await a.append(command(tenantId, { commandId: `c${version}`, expectedVersion: version - 1 }));
        const { events, command: known } = await b.readStream(tenantId, 'thing', { commandId: `c${version}` });
        expect(events.map(({ streamVersion }) => streamVersion)).toEqual(upTo(version + 1));
        expect(known).toMatchObject({ stream: 'thing', firstPosition: version, lastPosition: version });
      }
    });
  });

  it('copies data that is null', async () => {
    const store = test.store();
    const tenantId = newId();
    await store.append(command(tenantId, { events: [{ data: null }] }));
    expect((await whole(store, tenantId)).map(({ data }) => data)).toEqual([null]);
  });

  it('takes the largest commands, and many at once', async () => {
    const store = test.store();
    const tenantId = newId();
    const data = { text: 'x'.repeat(200 * 1024) };
    await Promise.all(upTo(6).map((n) => store.append(command(tenantId, { stream: `s${n}`, events: [{ data }, { data }] }))));
    expect(await whole(store, tenantId)).toHaveLength(12);
  }, 30_000);
});

describe.skipIf(!kurrentDbUrl)('the copy of a KurrentDB server', () => {
  let test: CopyForTest;
  beforeAll(async () => {
    test = await CopyForTest.start(kurrentDbUrl as string);
  }, 90_000);
  afterAll(() => test?.stop());

  const tables = ['events', 'heads', 'commands'];
  /** What the tables hold of some logs. */
  async function rowsOf(tenantIds: string[]): Promise<unknown[]> {
    const pool = test.pool();
    const results = await Promise.all(
      tables.map((table) => pool.query(`SELECT * FROM log.${table} WHERE tenant_id = ANY ($1) ORDER BY 1, 2`, [tenantIds])),
    );
    return results.map(({ rows }) => rows);
  }
  const empty = () => test.pool().query(`TRUNCATE log.events, log.heads, log.commands; UPDATE log.copier SET copied_id = NULL`);
  const begin = async () => (await test.pool().query('SELECT commit_position, prepare_position FROM log.copier')).rows[0];
  const beginAt = (position: object) =>
    test.pool().query('UPDATE log.copier SET commit_position = $1, prepare_position = $2', Object.values(position));

  it('is not needed to decide: appends, repeats and readStream know what nobody has copied', async () => {
    const store = test.store({ ownWritesMs: 0 });
    const tenantId = newId();
    const given = command(tenantId, { requestHmac: HMAC, events: [{}, {}] });
    const first = await store.append(given);
    await store.append(command(tenantId, { expectedVersion: 1 }));
    for (const other of [store, test.store({ ownWritesMs: 0 })]) {
      expect(await other.append(given)).toEqual({ outcome: 'repeated', events: first.events });
      await expect(other.append({ ...given, requestHmac: OTHER_HMAC })).rejects.toMatchObject({ code: 'idempotency.mismatch' });
      await expect(other.append(command(tenantId, { expectedVersion: 1 }))).rejects.toMatchObject({ code: 'log.conflict' });
      const slice = await other.readStream(tenantId, 'thing', { commandId: given.commandId });
      expect(slice.events.map(({ position }) => position)).toEqual([0, 1, 2]);
      expect(slice.command).toMatchObject({ requestHmac: HMAC, firstPosition: 0, lastPosition: 1 });
      expect(await other.readLog(tenantId, 0)).toEqual({ events: [], scannedTo: -1, head: -1 });
    }
  });

  it('tells which logs grew after it has them', async () => {
    const copied: string[] = [];
    const checks: Promise<void>[] = [];
    const store = test.store();
    const follower = test.follow((tenantIds) => {
      copied.push(...tenantIds);
      checks.push(...tenantIds.map(async (tenantId) => expect(await store.heads({ tenantIds: [tenantId] })).toHaveLength(1)));
    });
    const tenantId = newId();
    await store.append(command(tenantId));
    await eventually(() => expect(copied).toContain(tenantId));
    await Promise.all(checks);
    await follower.stop();
  });

  it('is filled again from nothing, the same to the last byte', async () => {
    const from = await begin();
    const store = test.store();
    const tenantIds = upTo(5).map(newId);
    const follower = test.follow();
    for (const n of upTo(3)) {
      await Promise.all(
        tenantIds.map((tenantId) =>
          store.append(
            command(tenantId, {
              requestHmac: n % 2 ? HMAC : null,
              stream: `s${n}`,
              events: [{ context: 'quota', data: { n: 1e21, t: 'ü\u2028' } }, {}, {}],
            }),
          ),
        ),
      );
    }
    for (const tenantId of tenantIds) await store.readLog(tenantId, 0);
    await follower.stop();
    const before = await rowsOf(tenantIds);
    expect((before[0] as unknown[]).length).toBe(45);
    await empty();
    await beginAt(from);
    const again = test.follow();
    await eventually(async () => expect(await rowsOf(tenantIds)).toEqual(before));
    await again.stop();
  });

  it('goes on where it was, whoever follows, and only one does', async () => {
    const store = test.store();
    const tenantId = newId();
    let version = -1;
    const append = () => store.append(command(tenantId, { expectedVersion: version++ }));
    for (const _ of upTo(6)) {
      const [a, b] = [test.follow(), test.follow()];
      await append();
      await store.readLog(tenantId, 0);
      expect([a, b].map((follower) => follower.state.state).sort()).toEqual(['following', 'waiting']);
      await append();
      await Promise.all([a.stop(), b.stop()]);
      await append();
    }
    const last = test.follow();
    expect((await store.readLog(tenantId, 0)).events.map(({ position }) => position)).toEqual(upTo(18));
    await last.stop();
  }, 30_000);

  it('is taken over from a follower that died', async () => {
    await test.pool().query(`UPDATE log.copier SET owner = 'dead', until = clock_timestamp() + interval '500 ms'`);
    const store = test.store();
    const tenantId = newId();
    const follower = test.follow(undefined, { leaseMs: 600 });
    await store.append(command(tenantId));
    expect((await store.readLog(tenantId, 0)).head).toBe(0);
    // And by force from one that holds it: it notices, and changes nothing more.
    await test.pool().query(`UPDATE log.copier SET owner = 'thief', until = clock_timestamp() + interval '1 hour'`);
    await store.append(command(tenantId, { expectedVersion: 0 }));
    await eventually(() => expect(follower.state.state).toBe('waiting'));
    expect((await test.pool().query('SELECT position FROM log.heads WHERE tenant_id = $1', [tenantId])).rows).toEqual([{ position: '0' }]);
    await test.pool().query(`UPDATE log.copier SET owner = NULL, until = '-infinity'`);
    expect((await store.readLog(tenantId, 0)).head).toBe(1);
    await follower.stop();
  }, 30_000);

  it('fills a hole from the log’s own stream', async () => {
    const store = test.store();
    const tenantId = newId();
    for (const version of upTo(30)) await store.append(command(tenantId, { expectedVersion: version - 1 }));
    await test.beginAtEnd();
    const follower = test.follow();
    await store.append(command(tenantId, { expectedVersion: 29 }));
    expect((await store.readLog(tenantId, 0)).events.map(({ position }) => position)).toEqual(upTo(31));
    await follower.stop();
  }, 30_000);

  it('stops, and says why, when the server doesn’t hold what was copied', async () => {
    const store = test.store();
    const tenantId = newId();
    let follower = test.follow();
    await store.append(command(tenantId));
    await store.readLog(tenantId, 0);
    await follower.stop();
    const { rows } = await test.pool().query('SELECT copied_id, copied_revision FROM log.copier');
    for (const [change, said] of [
      [`copied_id = '${randomUUID()}'`, /is another event/],
      ['copied_revision = 7', /is not there/],
    ] as const) {
      await test.pool().query(`UPDATE log.copier SET ${change}`);
      follower = test.follow(undefined, { stoppedMs: 50 });
      await eventually(() => expect(follower.state).toMatchObject({ state: 'stopped', reason: expect.stringMatching(said) }));
      // Once somebody has seen to it, it goes on by itself.
      await test.pool().query('UPDATE log.copier SET copied_id = $1, copied_revision = $2', [rows[0].copied_id, rows[0].copied_revision]);
      await eventually(() => expect(follower.state.state).toBe('following'));
      await follower.stop();
    }
  }, 30_000);

  it('stops when an event comes again as another', async () => {
    const store = test.store();
    const tenantId = newId();
    const from = await begin();
    let follower = test.follow();
    await store.append(command(tenantId));
    await store.readLog(tenantId, 0);
    await follower.stop();
    const to = await begin();
    const set = (id: string) => test.pool().query('UPDATE log.events SET id = $1 WHERE tenant_id = $2', [id, tenantId]);
    const { rows } = await test.pool().query('SELECT id FROM log.events WHERE tenant_id = $1', [tenantId]);
    await set(randomUUID());
    await beginAt(from);
    follower = test.follow(undefined, { stoppedMs: 50 });
    await eventually(() => expect(follower.state).toMatchObject({ state: 'stopped', reason: expect.stringContaining(tenantId) }));
    await set(rows[0].id);
    await eventually(async () => expect(await begin()).toEqual(to));
    await follower.stop();
  }, 30_000);

  it('that has more of a log than the server: nothing is appended to it', async () => {
    const tenantId = newId();
    await test.pool().query(`INSERT INTO log.heads VALUES ($1, 4, now(), '{"tenant": 4}')`, [tenantId]);
    const store = test.store({ retryForMs: 500 });
    await expect(store.append(command(tenantId))).rejects.toMatchObject({ code: 'service.unavailable' });
    const held = [];
    await expect(
      (async () => {
        for await (const { event } of test.client().readStream(streamOf(tenantId))) held.push(event);
      })(),
    ).rejects.toThrow();
    await test.pool().query('DELETE FROM log.heads WHERE tenant_id = $1', [tenantId]);
  });

  it('is written by the relay’s login alone', async () => {
    const services = test.pool('tenantry_provisioning');
    for (const call of [`log.copy('x', '[]', 1, 1)`, `log.copy_lease('x', 1)`, `log.copy_release('x')`]) {
      await expect(services.query(`SELECT ${call}`), call).rejects.toMatchObject({ code: '42501' });
    }
    await expect(services.query('UPDATE log.copier SET owner = NULL')).rejects.toMatchObject({ code: '42501' });
    const relay = test.pool('tenantry_relay');
    await expect(relay.query(`SELECT log.copy('somebody', '[]', 1, 1)`)).rejects.toMatchObject({ code: 'TL001' });
    await expect(relay.query('DELETE FROM log.events')).rejects.toMatchObject({ code: '42501' });
  });
});
