import { exec } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type EventStoreDBClient, type JSONEventData, jsonEvent, NO_STREAM, WrongExpectedVersionError } from '@eventstore/db-client';
import type { StoredEvent } from '@tenantry/contracts/events';
import { newId } from '@tenantry/contracts/ids';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../conformance/given.js';
import type { EventStore } from '../../port.js';
import { logPrefixes, streamOf } from './recorded.js';
import { CopyForTest, kurrentDbUrl, LossyProxy } from './spec-support.js';

/** A command of the shell that kills the server without warning and starts it again, where the tests may. */
const restart = process.env['TENANTRY_TEST_KURRENTDB_RESTART'];
if (kurrentDbUrl && !restart)
  console.log('KurrentDB killed under writers: skipped, TENANTRY_TEST_KURRENTDB_RESTART gives no command for it');

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index);
const whole = async (store: EventStore, tenantId: string): Promise<StoredEvent[]> =>
  (await store.readLog(tenantId, 0, { limit: 100_000 })).events;

describe.skipIf(!kurrentDbUrl)('faults on the way to KurrentDB', () => {
  const url = kurrentDbUrl as string;
  let test: CopyForTest;
  let proxy: LossyProxy;
  beforeAll(async () => {
    test = await CopyForTest.start(url);
    proxy = await LossyProxy.start(url);
    test.follow();
  }, 90_000);
  afterAll(async () => {
    await test?.stop();
    await proxy?.stop();
  });

  it('a reply lost after the append was done: it is there once, and that is the answer', async () => {
    const store = test.store({}, proxy.through(url));
    const tenantId = newId();
    await store.append(command(tenantId));
    for (const version of upTo(3)) {
      proxy.losesReplies = true;
      const appending = store.append(command(tenantId, { commandId: `c${version}`, expectedVersion: version }));
      await sleep(200);
      proxy.losesReplies = false;
      const { outcome, events } = await appending;
      expect([outcome, events.map(({ streamVersion }) => streamVersion)]).toEqual(['appended', [version + 1]]);
    }
    expect((await whole(store, tenantId)).map(({ metadata }) => metadata.commandId).slice(1)).toEqual(['c0', 'c1', 'c2']);
  }, 30_000);

  it('connections cut again and again under writers: each acknowledged command once, none twice', async () => {
    const store = test.store({}, proxy.through(url));
    const tenantIds = upTo(4).map(newId);
    const acknowledged = new Map<string, string[]>(tenantIds.map((tenantId) => [tenantId, []]));
    let writing = true;
    const writers = tenantIds.flatMap((tenantId) =>
      upTo(3).map(async (n) => {
        for (let version = -1; writing; version++) {
          const given = command(tenantId, { stream: `s${n}`, expectedVersion: version });
          await store.append(given);
          acknowledged.get(tenantId)?.push(given.commandId);
        }
      }),
    );
    // Until each log got somewhere, however slow the machine is.
    const least = () => Math.min(...[...acknowledged.values()].map(({ length }) => length));
    for (let n = 0; n < 12 || least() < 5; n++) {
      await sleep(120 + n * 10);
      proxy.losesReplies = n % 3 === 0;
      await sleep(30);
      if (n % 3 !== 0) proxy.cut();
      await sleep(60);
      proxy.losesReplies = false;
    }
    writing = false;
    await Promise.all(writers);
    const direct = test.store();
    for (const tenantId of tenantIds) {
      const log = await whole(direct, tenantId);
      expect(log.map(({ position }) => position)).toEqual(upTo(log.length));
      expect(log.map(({ metadata }) => metadata.commandId).sort()).toEqual(acknowledged.get(tenantId)?.sort());
    }
  }, 60_000);

  it('a server that is away: service.unavailable after the patience, and it works again afterwards', async () => {
    const port = proxy.port;
    const store = test.store({ retryForMs: 2_500 }, proxy.through(url));
    const tenantId = newId();
    await store.append(command(tenantId));
    await proxy.stop();
    const began = performance.now();
    const calls = [
      () => store.append(command(tenantId, { expectedVersion: 0 })),
      () => store.readStream(tenantId, 'thing'),
      () => store.append(command(newId())),
    ];
    for (const result of await Promise.allSettled(calls.map((call) => call()))) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'service.unavailable' } });
      // What the caller sees names no server.
      expect(JSON.stringify(result)).not.toContain('127.0.0.1');
    }
    expect(performance.now() - began).toBeLessThan(12_000);
    await expect(store.check()).rejects.toThrow();
    // Reading is from the copy.
    expect(await whole(store, tenantId)).toHaveLength(1);
    await proxy.listen(port);
    await eventually(() => store.append(command(tenantId, { commandId: 'late', expectedVersion: 0 })), { timeoutMs: 20_000 });
    expect((await whole(store, tenantId)).map(({ position }) => position)).toEqual([0, 1]);
  }, 60_000);

  it('a follower whose connection breaks goes on where it was', async () => {
    const own = await CopyForTest.start(url);
    try {
      const follower = own.follow(undefined, {}, proxy.through(url));
      const store = own.store();
      const tenantId = newId();
      for (const version of upTo(60)) {
        await store.append(command(tenantId, { expectedVersion: version - 1 }));
        if (version % 10 === 5) proxy.cut();
      }
      expect((await whole(store, tenantId)).map(({ position }) => position)).toEqual(upTo(60));
      await eventually(() => expect(follower.state.state).toBe('following'));
    } finally {
      await own.stop();
    }
  }, 60_000);

  it.skipIf(!restart)(
    'a server killed under writers: nothing acknowledged is lost, nothing is there twice',
    async () => {
      const store = test.store({ retryForMs: 60_000 });
      const tenantIds = upTo(8).map(newId);
      const acknowledged = new Map<string, string[]>(tenantIds.map((tenantId) => [tenantId, []]));
      let writing = true;
      const writers = tenantIds.flatMap((tenantId) =>
        upTo(2).map(async (n) => {
          for (let version = -1; writing; version++) {
            const given = command(tenantId, { stream: `s${n}`, expectedVersion: version });
            await store.append(given);
            acknowledged.get(tenantId)?.push(given.commandId);
          }
        }),
      );
      for (const _ of upTo(2)) {
        await sleep(1_000);
        await promisify(exec)(restart as string);
        await sleep(3_000);
      }
      writing = false;
      await Promise.all(writers);
      for (const tenantId of tenantIds) {
        const log = await whole(store, tenantId);
        expect(log.map(({ position }) => position)).toEqual(upTo(log.length));
        expect(log.map(({ metadata }) => metadata.commandId).sort()).toEqual(acknowledged.get(tenantId)?.sort());
      }
    },
    180_000,
  );
});

describe.skipIf(!kurrentDbUrl)('what the adapter relies on of the server', () => {
  let test: CopyForTest;
  let client: EventStoreDBClient;
  beforeAll(async () => {
    test = await CopyForTest.start(kurrentDbUrl as string);
    client = test.client();
  }, 90_000);
  afterAll(() => test?.stop());

  // Streams of these tests are no logs: nobody's follower copies them.
  const fresh = () => `facts-${newId()}`;
  const event = (id = newId()): JSONEventData => jsonEvent({ id, type: 'Fact', data: {} });
  const append = (stream: string, events: JSONEventData[], revision: bigint | typeof NO_STREAM) =>
    client.appendToStream(stream, events, { expectedRevision: revision, requiresLeader: true });
  async function idsOf(stream: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const resolved of client.readStream(stream)) ids.push(resolved.event?.id as string);
    return ids;
  }

  it('refuses every revision that is not the end', async () => {
    const stream = fresh();
    await append(stream, [event(), event()], NO_STREAM);
    for (const revision of [NO_STREAM, 0n, 2n] as const) {
      await expect(append(stream, [event()], revision)).rejects.toBeInstanceOf(WrongExpectedVersionError);
    }
    await expect(append(fresh(), [event()], 0n)).rejects.toBeInstanceOf(WrongExpectedVersionError);
    const racing = await Promise.allSettled(upTo(20).map(() => append(stream, [event()], 1n)));
    expect(racing.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await idsOf(stream)).toHaveLength(3);
  });

  it('takes a repeat at the same revision as done, by the ids alone', async () => {
    const stream = fresh();
    const [a, b] = [event(), event()];
    await append(stream, [a, b], NO_STREAM);
    await append(stream, [event()], 1n);
    await append(stream, [{ ...a, data: { other: true } }, b], NO_STREAM);
    await append(stream, [b], 0n);
    await expect(append(stream, [a, event()], NO_STREAM)).rejects.toBeInstanceOf(WrongExpectedVersionError);
    expect(await idsOf(stream)).toHaveLength(3);
  });

  it('stores a repeat at another revision a second time: hence never at another before the end was read', async () => {
    const stream = fresh();
    const a = event();
    await append(stream, [a], NO_STREAM);
    await append(stream, [a], 0n);
    expect(await idsOf(stream)).toEqual([a.id, a.id]);
  });

  it('resumes $all after the position given, and gives nothing but what the filter asks for', async () => {
    const store = test.store({ ownWritesMs: 0 });
    const tenantId = newId();
    await store.append(command(tenantId, { events: [{}, {}, {}] }));
    const positions = [];
    for await (const resolved of client.readStream(streamOf(tenantId))) positions.push(resolved.event?.position);
    await append(fresh(), [event()], NO_STREAM);
    const seen: string[] = [];
    const checkpoints: bigint[] = [];
    const subscription = client.subscribeToAll({
      fromPosition: positions[0] as { commit: bigint; prepare: bigint },
      filter: {
        filterOn: 'streamName',
        prefixes: logPrefixes,
        checkpointInterval: 1,
        maxSearchWindow: 4,
        checkpointReached: async (_subscription, position) => {
          checkpoints.push(position.commit);
        },
      },
    });
    subscription.on('data', (resolved) => seen.push(`${resolved.event?.streamId} ${resolved.event?.revision}`));
    const own = () => seen.filter((of) => of.includes(tenantId));
    await eventually(() => expect(own()).toEqual([1, 2].map((revision) => `${streamOf(tenantId)} ${revision}`)));
    for (const _ of upTo(12)) await append(fresh(), [event()], NO_STREAM);
    await eventually(() => expect(checkpoints.length).toBeGreaterThan(0));
    expect(seen.every((of) => of.startsWith('tenantlog-'))).toBe(true);
    await subscription.unsubscribe();
  });
});
