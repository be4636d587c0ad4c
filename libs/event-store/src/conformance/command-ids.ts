import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { codeOf, command, HMAC, type OpenStore, OTHER_HMAC, positions, upTo, wholeLog, withCode } from './given.js';

/** A command id has one result, for ever, whoever asks. */
export function commandIds(open: OpenStore): void {
  describe('a command id that comes again', () => {
    it('in several processes at once is appended by one of them; all get that result', async () => {
      const stores = await Promise.all(upTo(3).map(() => open()));
      const given = command(newId(), { requestHmac: HMAC, events: [{}, {}] });
      const results = await Promise.all(upTo(30).map((n) => stores[n % 3]?.append(given)));
      expect(results.filter((result) => result?.outcome === 'appended')).toHaveLength(1);
      for (const result of results) expect(result?.events).toEqual(results[0]?.events);
      expect(await wholeLog(stores[0]!, given.tenantId)).toHaveLength(2);
    });

    it('in several processes at once with other requests has one that wins', async () => {
      const stores = await Promise.all(upTo(2).map(() => open()));
      const tenantId = newId();
      const one = command(tenantId, { commandId: 'c', requestHmac: HMAC, events: [{ data: { by: 'one' } }] });
      const other = command(tenantId, { commandId: 'c', requestHmac: OTHER_HMAC, events: [{ data: { by: 'other' } }] });
      const results = await Promise.allSettled([stores[0]!.append(one), stores[1]!.append(other)]);
      expect(results.map(codeOf).sort()).toEqual(['done', 'idempotency.mismatch']);
      const winner = results.findIndex(({ status }) => status === 'fulfilled');
      expect((await wholeLog(stores[winner]!, tenantId)).map(({ data }) => data)).toEqual([{ by: ['one', 'other'][winner] }]);
    });

    it('with other events gets those that are stored, not those that it brought', async () => {
      const store = await open();
      const tenantId = newId();
      const first = await store.append(command(tenantId, { commandId: 'c', events: [{ data: { n: 1 } }] }));
      const again = await store.append(command(tenantId, { commandId: 'c', events: [{ data: { n: 2 } }, { data: { n: 3 } }] }));
      expect(again).toEqual({ outcome: 'repeated', events: first.events });
    });

    it('is recognized before anything else is looked at', async () => {
      const store = await open();
      const tenantId = newId();
      const given = command(tenantId, { requestHmac: HMAC });
      await store.append(given);
      for (const expectedVersion of [-1, 0, 5]) {
        expect(await store.append({ ...given, expectedVersion })).toMatchObject({ outcome: 'repeated' });
        await expect(store.append({ ...given, expectedVersion, requestHmac: OTHER_HMAC })).rejects.toEqual(
          withCode('idempotency.mismatch'),
        );
      }
      expect(await store.append({ ...given, stream: 'other', expectedVersion: 3 })).toMatchObject({ outcome: 'repeated' });
    });

    it('is recognized after a thousand other events, by a process that has just started', async () => {
      const store = await open();
      const tenantId = newId();
      const given = command(tenantId, { requestHmac: HMAC, events: [{}, {}, {}] });
      const first = await store.append(given);
      for (let n = 0; n < 10; n++) {
        await store.append(command(tenantId, { stream: 'other', expectedVersion: n * 100 - 1, events: upTo(100).map(() => ({})) }));
      }
      expect(await (await open()).append(given)).toEqual({ outcome: 'repeated', events: first.events });
    });

    it('together with the first gets its result, on whichever stream', async () => {
      const store = await open();
      const tenantId = newId();
      const [first, second, third] = await Promise.all([
        store.append(command(tenantId, { commandId: 'c', stream: 'a' })),
        store.append(command(tenantId, { commandId: 'c', stream: 'b' })),
        store.append(command(tenantId, { commandId: 'd', stream: 'b' })),
      ]);
      expect([first.outcome, second.outcome, third.outcome]).toEqual(['appended', 'repeated', 'appended']);
      expect(second.events).toEqual(first.events);
      expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1]);
    });

    it('together with one that was refused is decided by itself', async () => {
      const store = await open();
      const tenantId = newId();
      const results = await Promise.allSettled([
        store.append(command(tenantId, { commandId: 'c', expectedVersion: 4 })),
        store.append(command(tenantId, { commandId: 'c' })),
        store.append(command(tenantId, { commandId: 'c', expectedVersion: 4 })),
      ]);
      expect(results.map(codeOf)).toEqual(['log.conflict', 'done', 'done']);
      expect(await wholeLog(store, tenantId)).toHaveLength(1);
    });

    it('without a request and with one are different', async () => {
      const store = await open();
      const tenantId = newId();
      await store.append(command(tenantId, { commandId: 'c' }));
      await expect(store.append(command(tenantId, { commandId: 'c', requestHmac: HMAC }))).rejects.toEqual(
        withCode('idempotency.mismatch'),
      );
      expect(await store.append(command(tenantId, { commandId: 'c' }))).toMatchObject({ outcome: 'repeated' });
    });

    it('does not count as growth of the log', async () => {
      const store = await open();
      const tenantId = newId();
      const given = command(tenantId);
      await store.append(given);
      const grown: string[] = [];
      store.onAppended = (tenantIds) => grown.push(...tenantIds);
      await store.append(given);
      await store.append(command(tenantId, { expectedVersion: 7 })).catch(() => undefined);
      expect(grown).toEqual([]);
    });

    it('may be any text', async () => {
      const store = await open();
      const tenantId = newId();
      const ids = [`it's "quoted" \\ $1`, '\u{1f600} \u202e ünïcode', 'a', 'A', ' a', 'x'.repeat(200), '%', '__proto__'];
      for (const [n, commandId] of ids.entries()) await store.append(command(tenantId, { commandId, expectedVersion: n - 1 }));
      for (const [n, commandId] of ids.entries()) {
        expect((await store.readStream(tenantId, 'thing', { commandId })).command).toMatchObject({ firstPosition: n, lastPosition: n });
        expect(await store.append(command(tenantId, { commandId }))).toMatchObject({ outcome: 'repeated', events: [{ position: n }] });
      }
    });
  });
}
