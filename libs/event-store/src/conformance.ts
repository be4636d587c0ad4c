import type { StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { chains } from './conformance/chains.js';
import { commandIds } from './conformance/command-ids.js';
import { eventVersions } from './conformance/event-versions.js';
import { codeOf, command, HMAC, type OpenStore, OTHER_HMAC, positions, upTo, wholeLog, withCode } from './conformance/given.js';
import { limits } from './conformance/limits.js';
import { longLogs } from './conformance/long-logs.js';
import { races } from './conformance/races.js';
import { reading } from './conformance/reading.js';
import { texts } from './conformance/texts.js';
import { isIntact, leafHash, microseconds } from './hash.js';
import { MAX_EVENT_BYTES } from './limits.js';

/** What every adapter of the event store does. */
export function eventStoreConformance(name: string, open: OpenStore): void {
  describe(`event store: ${name}`, () => {
    commandIds(open);
    chains(open);
    limits(open);
    texts(open);
    longLogs(open);
    races(open);
    reading(open);
    eventVersions(open);

    describe('appending', () => {
      it('counts positions in the log and versions in the stream', async () => {
        const store = await open();
        const tenantId = newId();
        const a = await store.append(command(tenantId, { stream: 'a', events: [{}, {}] }));
        const b = await store.append(command(tenantId, { stream: 'b' }));
        const a2 = await store.append(command(tenantId, { stream: 'a', expectedVersion: 1 }));
        const all = [...a.events, ...b.events, ...a2.events];
        expect(all.map(({ position, stream, streamVersion }) => [position, stream, streamVersion])).toEqual([
          [0, 'a', 0],
          [1, 'a', 1],
          [2, 'b', 0],
          [3, 'a', 2],
        ]);
        expect(await wholeLog(store, tenantId)).toEqual(all);
        expect((await store.readStream(tenantId, 'a')).events).toEqual([...a.events, ...a2.events]);
        expect((await store.readStream(tenantId, 'a', { fromVersion: 2 })).events).toEqual(a2.events);
      });

      it('keeps what was given, of every JSON kind', async () => {
        const store = await open();
        const tenantId = newId();
        const data = {
          text: 'é "quoted" \\u0000 \u{1f600}\n',
          n: -1.5e-7,
          big: 1e21,
          yes: true,
          nothing: null,
          list: [1, [2], {}],
          '': { z: 1, a: 2 },
        };
        const given = command(tenantId, { events: [{ data, context: 'billing', version: 3 }] });
        const { events } = await store.append(given);
        const [read] = await wholeLog(store, tenantId);
        expect(read).toEqual(events[0]);
        expect(read).toMatchObject({
          tenantId,
          data,
          context: 'billing',
          version: 3,
          metadata: given.events[0]?.metadata,
          id: given.events[0]?.id,
        });
      });

      it('refuses another version than expected, and changes nothing', async () => {
        const store = await open();
        const tenantId = newId();
        await store.append(command(tenantId));
        for (const expectedVersion of [-1, 1, 7]) {
          await expect(store.append(command(tenantId, { expectedVersion }))).rejects.toEqual(withCode('log.conflict'));
        }
        await expect(store.append(command(newId(), { expectedVersion: 0 }))).rejects.toEqual(withCode('log.conflict'));
        expect(positions(await wholeLog(store, tenantId))).toEqual([0]);
      });

      it('lets one of many win a version', async () => {
        const store = await open();
        const tenantId = newId();
        const results = await Promise.allSettled(upTo(20).map(() => store.append(command(tenantId))));
        expect(results.map(codeOf).filter((code) => code === 'done')).toHaveLength(1);
        expect(results.map(codeOf).filter((code) => code === 'log.conflict')).toHaveLength(19);
      });

      it('decides commands that come together each for itself', async () => {
        const store = await open();
        const [one, two] = [newId(), newId()];
        await store.append(command(one, { commandId: 'known', requestHmac: HMAC }));
        const results = await Promise.allSettled([
          store.append(command(one, { expectedVersion: 0 })),
          store.append(command(one, { expectedVersion: 0 })),
          store.append(command(one, { expectedVersion: 1 })),
          store.append(command(two, { expectedVersion: 5 })),
          store.append(command(two)),
          store.append(command(two, { stream: 'other', events: [{}, {}] })),
          store.append(command(one, { commandId: 'known', requestHmac: OTHER_HMAC })),
          store.append(command(one, { commandId: 'known', requestHmac: HMAC })),
        ]);
        expect(results.map(codeOf)).toEqual([
          'done',
          'log.conflict',
          'done',
          'log.conflict',
          'done',
          'done',
          'idempotency.mismatch',
          'done',
        ]);
        expect(positions(await wholeLog(store, one))).toEqual([0, 1, 2]);
        expect(positions(await wholeLog(store, two))).toEqual([0, 1, 2]);
      });

      it('keeps every log gapless under many writers', async () => {
        const store = await open();
        const tenants = [newId(), newId(), newId()];
        await Promise.all(
          upTo(90).map((n) => store.append(command(tenants[n % 3] as string, { stream: `s${n}`, events: n % 2 ? [{}] : [{}, {}] }))),
        );
        for (const tenant of tenants) {
          const log = await wholeLog(store, tenant);
          expect(positions(log)).toEqual(upTo(45));
        }
      });

      it('says which logs grew', async () => {
        const store = await open();
        const grown: string[] = [];
        store.onAppended = (tenantIds) => grown.push(...tenantIds);
        const [one, two, none] = [newId(), newId(), newId()];
        await Promise.allSettled([
          store.append(command(one)),
          store.append(command(two)),
          store.append(command(none, { expectedVersion: 3 })),
        ]);
        expect(new Set(grown)).toEqual(new Set([one, two]));
      });

      it('refuses events above 256 KiB and commands above 512 KiB', async () => {
        const store = await open();
        const tenantId = newId();
        const text = (bytes: number) => ({ data: { text: 'x'.repeat(bytes) } });
        await expect(store.append(command(tenantId, { events: [text(MAX_EVENT_BYTES)] }))).rejects.toEqual(withCode('log.event_too_large'));
        const large = text(MAX_EVENT_BYTES - 1000);
        await expect(store.append(command(tenantId, { events: [large, large, large] }))).rejects.toEqual(withCode('log.event_too_large'));
        await store.append(command(tenantId, { events: [large, large] }));
        expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1]);
      });

      it('refuses the character NUL', async () => {
        const store = await open();
        await expect(store.append(command(newId(), { events: [{ data: { text: 'a\u0000b' } }] }))).rejects.toEqual(
          withCode('request.invalid'),
        );
        await store.append(command(newId(), { events: [{ data: { text: 'a\\u0000b' } }] }));
      });
    });

    describe('command ids', () => {
      it('gives a repeat the first result, whatever came since', async () => {
        const store = await open();
        const tenantId = newId();
        const given = command(tenantId, { requestHmac: HMAC, events: [{}, {}] });
        const first = await store.append(given);
        await store.append(command(tenantId, { expectedVersion: 1 }));
        const again = await store.append({ ...command(tenantId, { stream: 'elsewhere' }), commandId: given.commandId, requestHmac: HMAC });
        expect(again).toEqual({ outcome: 'repeated', events: first.events });
        expect(positions(await wholeLog(store, tenantId))).toEqual([0, 1, 2]);
      });

      it('knows them in readStream, with their stream and request', async () => {
        const store = await open();
        const tenantId = newId();
        await store.append(command(tenantId, { stream: 'first' }));
        const { events } = await store.append(command(tenantId, { commandId: 'c', requestHmac: HMAC, events: [{}, {}] }));
        await store.append(command(tenantId, { commandId: 'system', expectedVersion: 1 }));
        const known = { stream: 'thing', requestHmac: HMAC, firstPosition: 1, lastPosition: 2 };
        const slice = await store.readStream(tenantId, 'thing', { commandId: 'c' });
        expect(slice.command).toEqual(known);
        expect(slice.events.slice(0, 2)).toEqual(events);
        expect((await store.readStream(tenantId, 'first', { commandId: 'c' })).command).toEqual(known);
        expect(await store.readStream(tenantId, 'none', { commandId: 'c' })).toEqual({ events: [], command: known });
        expect((await store.readStream(tenantId, 'none', { commandId: 'system' })).command).toMatchObject({ requestHmac: null });
        expect(await store.readStream(tenantId, 'none', { commandId: 'unknown' })).toEqual({ events: [], command: null });
        expect((await store.readStream(newId(), 'thing', { commandId: 'c' })).command).toBeNull();
      });

      it('appends once when the same command comes many times at once', async () => {
        const store = await open();
        const tenantId = newId();
        const given = command(tenantId, { requestHmac: HMAC });
        const results = await Promise.all(upTo(50).map(() => store.append(given)));
        expect(results.filter(({ outcome }) => outcome === 'appended')).toHaveLength(1);
        expect(new Set(results.map(({ events }) => JSON.stringify(positions(events))))).toEqual(new Set(['[0]']));
        expect(await wholeLog(store, tenantId)).toHaveLength(1);
      });

      it('remembers them after it was opened again', async () => {
        const tenantId = newId();
        const given = command(tenantId, { requestHmac: HMAC });
        const first = await (await open()).append(given);
        const again = await (await open()).append(given);
        expect(again).toEqual({ outcome: 'repeated', events: first.events });
      });

      it('refuses another request under the same id', async () => {
        const store = await open();
        const tenantId = newId();
        const given = command(tenantId, { requestHmac: HMAC });
        await store.append(given);
        for (const requestHmac of [OTHER_HMAC, null]) {
          await expect(store.append({ ...given, requestHmac })).rejects.toEqual(withCode('idempotency.mismatch'));
        }
        await store.append({ ...command(newId(), { requestHmac: OTHER_HMAC }), commandId: given.commandId });
      });

      it('forgets the id of a command that was refused', async () => {
        const store = await open();
        const tenantId = newId();
        const given = command(tenantId, { expectedVersion: 0 });
        await expect(store.append(given)).rejects.toEqual(withCode('log.conflict'));
        await store.append(command(tenantId));
        expect(await store.append(given)).toMatchObject({ outcome: 'appended' });
      });
    });

    describe('what is stored with an event', () => {
      it('is a time that grows with every event', async () => {
        const store = await open();
        const tenantId = newId();
        const before = Date.now() * 1000;
        await Promise.all(upTo(20).map((n) => store.append(command(tenantId, { stream: `s${n}`, events: upTo(10).map(() => ({})) }))));
        const times = (await wholeLog(store, tenantId)).map(({ recordedAt }) => recordedAt);
        for (const [index, time] of times.slice(1).entries()) expect(time > (times[index] as string)).toBe(true);
        expect(microseconds(times[0] as string)).toBeGreaterThan(before - 60_000_000);
        expect(microseconds(times.at(-1) as string)).toBeLessThan(Date.now() * 1000 + 60_000_000);
      });

      it('is a body hash and a leaf that can be computed again', async () => {
        const store = await open();
        const tenantId = newId();
        const data = { b: 'ü', a: [1.0, 2.5e-9, { y: null, x: '\u2028' }] };
        await store.append(command(tenantId, { events: [{ data }, { data: {} }] }));
        await store.append(command(tenantId, { stream: 'other', events: [{ data }] }));
        const log = await wholeLog(store, tenantId);
        expect(log).toHaveLength(3);
        for (const event of log) {
          expect(isIntact(event)).toBe(true);
          expect(event.leaf).toBe(leafHash({ ...event, recordedAtUs: microseconds(event.recordedAt) }));
        }
        expect(isIntact({ ...(log[0] as StoredEvent), data: {} })).toBe(false);
        expect(isIntact({ ...(log[0] as StoredEvent), position: 1 })).toBe(false);
      });

      it('is the previous position of the same context', async () => {
        const store = await open();
        const tenantId = newId();
        await store.append(command(tenantId, { events: [{ context: 'tenant' }, { context: 'quota' }, { context: 'tenant' }] }));
        await store.append(
          command(tenantId, { stream: 's', events: [{ context: 'quota' }, { context: 'billing' }, { context: 'quota' }] }),
        );
        expect((await wholeLog(store, tenantId)).map(({ previousInContext }) => previousInContext)).toEqual([null, null, 0, 1, null, 3]);
      });
    });
  });
}
