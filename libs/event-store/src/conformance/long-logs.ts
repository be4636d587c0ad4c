import type { EventDefinition, StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { isIntact } from '../hash.js';
import type { EventStore } from '../port.js';
import { command, type OpenStore, positions, upTo, wholeLog } from './given.js';

const LENGTH = 10_000;
/** One in a hundred is rare; contexts take turns. */
const typeOf = (n: number) => (n % 100 === 42 ? 'Rare' : 'Common');
const contextOf = (n: number) => (n % 7 === 0 ? ('quota' as const) : n % 3 === 0 ? ('billing' as const) : ('tenant' as const));

/** Reading what is long, in pages. */
export function longLogs(open: OpenStore): void {
  describe('a log of 10,000 events', () => {
    let store: EventStore;
    let log: StoredEvent[];
    const tenantId = newId();
    beforeAll(async () => {
      store = await open();
      for (let from = 0; from < LENGTH; from += 500) {
        const events = upTo(500).map((n) => ({ type: typeOf(from + n), context: contextOf(from + n), data: { n: from + n } }));
        await store.append(
          command(tenantId, { stream: `s${(from / 500) % 2}`, expectedVersion: Math.floor(from / 1000) * 500 - 1, events }),
        );
      }
      log = await wholeLog(store, tenantId, { limit: 1_000 });
    }, 60_000);

    it('comes whole and in order', () => {
      expect(positions(log)).toEqual(upTo(LENGTH));
      expect(log.every(({ data, position }) => (data as { n: number }).n === position)).toBe(true);
    });

    it('is the same by pages of any size, and by the default one', async () => {
      expect(positions(await wholeLog(store, tenantId))).toEqual(upTo(LENGTH));
      expect(positions(await wholeLog(store, tenantId, { limit: 777 }))).toEqual(upTo(LENGTH));
      const slice = await store.readLog(tenantId, LENGTH - 2, { limit: 5 });
      expect([positions(slice.events), slice.scannedTo, slice.head]).toEqual([[LENGTH - 2, LENGTH - 1], LENGTH - 1, LENGTH - 1]);
    });

    it('shows all of a rare type, page by page', async () => {
      const rare = await wholeLog(store, tenantId, { types: ['Rare'], limit: 7 });
      expect(positions(rare)).toEqual(upTo(100).map((n) => n * 100 + 42));
      expect(await wholeLog(store, tenantId, { types: ['Never'], limit: 7 })).toEqual([]);
    });

    it('has leaves and body hashes that can be computed again', () => {
      expect(log.filter((event) => !isIntact(event))).toEqual([]);
    });

    it('has times that strictly grow', () => {
      expect(log.filter((event, n) => n > 0 && event.recordedAt <= (log[n - 1] as StoredEvent).recordedAt)).toEqual([]);
    });

    it('leads from each event to the one before of its context', () => {
      const last = new Map<string, number>();
      for (const { context, position, previousInContext } of log) {
        expect(previousInContext).toBe(last.get(context) ?? null);
        last.set(context, position);
      }
    });

    it('has streams that are whole', async () => {
      for (const stream of ['s0', 's1']) {
        const { events } = await store.readStream(tenantId, stream);
        expect(events.map(({ streamVersion }) => streamVersion)).toEqual(upTo(LENGTH / 2));
        const tail = await store.readStream(tenantId, stream, { fromVersion: 4_990 });
        expect(tail.events).toEqual(events.slice(4_990));
      }
      expect((await store.readStream(tenantId, 's0', { fromVersion: 5_000 })).events).toEqual([]);
    });

    it('says nothing beyond its head', async () => {
      for (const from of [LENGTH, LENGTH + 7]) {
        expect(await store.readLog(tenantId, from)).toEqual({ events: [], scannedTo: from - 1, head: LENGTH - 1 });
      }
    });
  });

  describe('many logs', () => {
    it('are read at once, each from its own position on, by type', async () => {
      const store = await open();
      const tenants = upTo(40).map(newId);
      await Promise.all(
        tenants.map((tenantId, n) =>
          store.append(command(tenantId, { events: upTo(n + 1).map((k) => ({ type: k % 2 ? 'Odd' : 'Even' })) })),
        ),
      );
      const slices = await store.readLogs(
        tenants.map((tenantId, n) => ({ tenantId, from: Math.floor(n / 2) })),
        { types: ['Odd'], limit: 3 },
      );
      for (const [n, tenantId] of tenants.entries()) {
        const expected = upTo(n + 1)
          .filter((k) => k % 2 === 1 && k >= Math.floor(n / 2))
          .slice(0, 3);
        const slice = slices.get(tenantId);
        expect(slice?.head).toBe(n);
        expect(positions(slice?.events ?? [])).toEqual(expected);
        expect(slice?.scannedTo).toBe(expected.length === 3 ? expected[2] : n);
      }
    });

    it('come upcast, and not as what the reader before has made of them', async () => {
      const definition: EventDefinition = {
        version: 2,
        summary: 'A thing was named',
        data: z.object({ name: z.string() }),
        upcasters: { 1: ({ title }) => ({ name: title }) },
      };
      const store = await open({ catalogue: new Map([['ThingNamed', definition]]) });
      const tenantId = newId();
      await store.append(command(tenantId, { events: [{ type: 'ThingNamed', data: { title: 'a' } }] }));
      const read = async () => (await store.readLogs([{ tenantId, from: 0 }], { types: ['ThingNamed'] })).get(tenantId)?.events[0];
      const first = await read();
      expect(first).toMatchObject({ version: 2, data: { name: 'a' } });
      (first as { data: { name: string } }).data.name = 'changed';
      expect(await read()).toMatchObject({ version: 2, data: { name: 'a' } });
    });
  });

  describe('heads', () => {
    it('are what was appended, also to several logs at once', async () => {
      const store = await open();
      const tenants = upTo(30).map(newId).sort();
      await Promise.all(
        tenants.flatMap((tenantId) => upTo(5).map((n) => store.append(command(tenantId, { stream: `s${n}`, events: [{}, {}] })))),
      );
      expect(await store.heads({ tenantIds: tenants })).toEqual(tenants.map((tenantId) => ({ tenantId, position: 9 })));
      expect(await store.heads({ tenantIds: tenants, after: tenants.at(-1) })).toEqual([]);
      expect(await store.heads({ tenantIds: [] })).toEqual([]);
    });

    it('do not show a log in which nothing was ever appended', async () => {
      const store = await open();
      const tenantId = newId();
      await store.append(command(tenantId, { expectedVersion: 3 })).catch(() => undefined);
      await store.append({ ...command(tenantId), expectedVersion: 0, expectedEventId: newId() }).catch(() => undefined);
      expect(await store.heads({ tenantIds: [tenantId] })).toEqual([]);
      expect((await store.readLog(tenantId, 0)).head).toBe(-1);
    });
  });
}
