import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { command, type OpenStore, positions, upTo, wholeLog } from './given.js';

/** Readers of logs, of streams and of heads see all there is, in pages. */
export function reading(open: OpenStore): void {
  describe('reading', () => {
    it('pages through a long log', async () => {
      const store = await open();
      const tenantId = newId();
      for (let version = -1; version < 1_499; version += 100) {
        await store.append(command(tenantId, { expectedVersion: version, events: upTo(100).map(() => ({})) }));
      }
      expect(positions(await wholeLog(store, tenantId))).toEqual(upTo(1500));
      expect((await store.readStream(tenantId, 'thing')).events).toHaveLength(1500);
      const slice = await store.readLog(tenantId, 700, { limit: 3 });
      expect({ ...slice, events: positions(slice.events) }).toEqual({ events: [700, 701, 702], scannedTo: 702, head: 1499 });
    });

    it('finds types, and says how far it looked', async () => {
      const store = await open();
      const tenantId = newId();
      const [a, b] = [{ type: 'A' }, { type: 'B' }];
      await store.append(command(tenantId, { events: [a, b, a, b, b, a] }));
      const read = async (from: number, types: string[], limit?: number) => {
        const slice = await store.readLog(tenantId, from, { types, limit });
        return [positions(slice.events), slice.scannedTo, slice.head];
      };
      expect(await read(0, ['A'])).toEqual([[0, 2, 5], 5, 5]);
      expect(await read(0, ['A'], 2)).toEqual([[0, 2], 2, 5]);
      expect(await read(3, ['A', 'B'], 2)).toEqual([[3, 4], 4, 5]);
      expect(await read(0, ['C'])).toEqual([[], 5, 5]);
      expect(await read(6, ['A'])).toEqual([[], 5, 5]);
      expect(await read(0, [])).toEqual([[], 5, 5]);
    });

    it('answers for a log that does not exist', async () => {
      const store = await open();
      expect(await store.readLog(newId(), 0)).toEqual({ events: [], scannedTo: -1, head: -1 });
      expect(await store.readStream(newId(), 'thing')).toEqual({ events: [], command: null });
      expect(await store.heads({ tenantIds: [newId()] })).toEqual([]);
    });

    it('reads many logs at once', async () => {
      const store = await open();
      const [one, two, none] = [newId(), newId(), newId()];
      await store.append(command(one, { events: [{}, { type: 'B' }, {}] }));
      await store.append(command(two, { events: [{}] }));
      const slices = await store.readLogs(
        [
          { tenantId: one, from: 1 },
          { tenantId: two, from: 0 },
          { tenantId: none, from: 0 },
        ],
        { limit: 1 },
      );
      const shown = [one, two, none].map((tenant) => {
        const { events, scannedTo, head } = slices.get(tenant) ?? { events: [], scannedTo: NaN, head: NaN };
        return [positions(events), scannedTo, head];
      });
      expect(shown).toEqual([
        [[1], 1, 2],
        [[0], 0, 0],
        [[], -1, -1],
      ]);
      expect(await store.readLogs([])).toEqual(new Map());
    });

    it('lists heads in pages', async () => {
      const store = await open();
      const tenants = upTo(7).map(newId).sort();
      await Promise.all(tenants.map((tenantId, index) => store.append(command(tenantId, { events: upTo(index + 1).map(() => ({})) }))));
      const expected = tenants.map((tenantId, position) => ({ tenantId, position }));
      expect(await store.heads({ tenantIds: [...tenants].reverse() })).toEqual(expected);
      expect(await store.heads({ tenantIds: tenants, after: tenants[2], limit: 2 })).toEqual(expected.slice(3, 5));
      const all: typeof expected = [];
      for (let after: string | undefined; ; ) {
        const page = await store.heads({ after, limit: 3 });
        all.push(...page);
        if (page.length < 3) break;
        after = page.at(-1)?.tenantId;
      }
      expect(all.filter(({ tenantId }) => tenants.includes(tenantId))).toEqual(expected);
      expect(all.map(({ tenantId }) => tenantId)).toEqual(all.map(({ tenantId }) => tenantId).sort());
    });

    it('shows readers a gapless beginning of the log while others write', async () => {
      const store = await open();
      const reader = await open();
      const tenantId = newId();
      let writing = true;
      const writer = Promise.all(
        upTo(10).map(async (n) => {
          for (let version = -1; version < 19; version += 2) {
            await store.append(command(tenantId, { stream: `s${n}`, expectedVersion: version, events: [{}, {}] }));
          }
        }),
      ).finally(() => {
        writing = false;
      });
      let seen = 0;
      while (writing) {
        const log = await wholeLog(reader, tenantId);
        expect(positions(log)).toEqual(upTo(log.length));
        expect(log.length).toBeGreaterThanOrEqual(seen);
        expect(log.length % 2).toBe(0);
        seen = log.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await writer;
      expect(await wholeLog(reader, tenantId)).toHaveLength(200);
    });
  });
}
