import type { RecordedEvent } from '@eventstore/db-client';
import { newId } from '@tenantry/contracts/ids';
import { describe, expect, it } from 'vitest';
import { command } from '../../conformance/given.js';
import { decideGroup } from './decide.js';
import { ForeignEvent, type LogEvent, logEventOf, proposed, streamOf } from './recorded.js';
import { noStream, Tail } from './tail.js';

const tenantId = newId();
const emptyTail = () => new Tail({ position: -1, timeUs: 0, contexts: new Map() });

/** The events of one command, as an append would have them. */
function appended(tail: Tail, given = command(tenantId, { events: [{}, { type: 'Dots.v2.v7', context: 'billing' }] })): LogEvent[] {
  const [decided] = decideGroup(tail, [{ command: given, copiedStream: noStream, copiedCommand: null }], 1_700_000_000_000_000);
  if (decided?.outcome !== 'append') throw new Error(`decided ${decided?.outcome}`);
  return decided.events;
}
const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
function parsed(of: LogEvent) {
  const { data, metadata, ...rest } = proposed(of);
  return { ...rest, data: json(data), metadata: json(metadata) };
}
const recorded = (of: LogEvent, change: object = {}): RecordedEvent =>
  ({ ...parsed(of), streamId: streamOf(tenantId), revision: BigInt(of.event.position), ...change }) as unknown as RecordedEvent;

describe('an event on the server', () => {
  it('comes back as it was, with its command', () => {
    for (const event of appended(emptyTail())) expect(logEventOf(recorded(event))).toEqual(event);
  });

  it('that is not this platform’s is refused by its place, without a word of what is in it', () => {
    const [event] = appended(emptyTail()) as [LogEvent];
    const { metadata } = parsed(event);
    for (const change of [
      { streamId: 'tenantlog-somebody' },
      { streamId: `other-${tenantId}` },
      { type: 'ThingHappened' },
      { type: 'nobody.ThingHappened.v1' },
      { metadata: undefined },
      { metadata: { ...metadata, log: undefined } },
      { metadata: { ...metadata, log: { ...metadata.log, leaf: 'secret' } } },
      { metadata: { ...metadata, log: { ...metadata.log, command: { id: 'c', requestHmac: null, index: 2, count: 2 } } } },
    ]) {
      let error: unknown;
      try {
        logEventOf(recorded(event, change));
      } catch (thrown) {
        error = thrown;
      }
      expect(error, JSON.stringify(change)).toBeInstanceOf(ForeignEvent);
      expect((error as Error).message).not.toContain('secret');
    }
  });
});

describe('what is held beyond the copy', () => {
  it('knows streams, commands and contexts, lets go of what is copied and refuses holes', () => {
    const tail = emptyTail();
    const first = command(tenantId, { stream: 'a', events: [{ context: 'quota' }, {}] });
    tail.add(appended(tail, first));
    const second = command(tenantId, { stream: 'b' });
    const events = appended(tail, second);
    expect(() => tail.add(events.map(({ event, command }) => ({ event: { ...event, position: 4 }, command })))).toThrow('goes on at 4');
    tail.add(events);
    tail.add(events);
    expect([tail.position, tail.length, tail.stream('a')?.version, tail.stream('b')?.version, tail.stream('c')?.version]).toEqual([
      2,
      3,
      1,
      0,
      undefined,
    ]);
    expect(tail.command(first.commandId)).toMatchObject({ firstPosition: 0, lastPosition: 1, stream: 'a' });
    expect(Object.fromEntries(tail.contexts)).toEqual({ quota: 0, tenant: 2 });
    tail.trim(1);
    tail.trim(0);
    expect([tail.position, tail.base, tail.length, tail.stream('a')?.version, tail.stream('b')?.version]).toEqual([2, 1, 1, 1, 0]);
    // Known from its beginning, nothing has to be asked.
    expect([tail.isComplete, tail.command(first.commandId)?.lastPosition]).toEqual([true, 1]);
    expect(tail.range(0, 1)).toBeUndefined();
    expect(tail.range(2, 2)).toEqual(events);
    expect(Object.fromEntries(tail.contexts)).toEqual({ quota: 0, tenant: 2 });
  });

  it('decides each command on what the one before it leaves', () => {
    const tail = emptyTail();
    const [a, b, late, again, stale] = [
      command(tenantId, { stream: 'a', events: [{}, {}] }),
      command(tenantId, { stream: 'a', expectedVersion: 1 }),
      command(tenantId, { stream: 'a', expectedVersion: 5 }),
      command(tenantId, { stream: 'z' }),
      command(tenantId, { stream: 'a', expectedVersion: 0 }),
    ];
    const asked = [a, b, late, { ...again, commandId: a.commandId }, { ...again, commandId: a.commandId, requestHmac: 'ab' }, stale].map(
      (given) => ({
        command: given,
        copiedStream: noStream,
        copiedCommand: null,
      }),
    );
    const decided = decideGroup(tail, asked, 5);
    expect(decided.map(({ outcome }) => outcome)).toEqual(['append', 'append', 'unread', 'repeated', 'mismatch', 'conflict']);
    const events = decided.flatMap((one) => (one.outcome === 'append' ? one.events : [])).map(({ event }) => event);
    expect(events.map((e) => [e.position, e.streamVersion, e.previousInContext])).toEqual([
      [0, 0, null],
      [1, 1, 0],
      [2, 2, 1],
    ]);
    expect(new Set(events.map(({ recordedAt }) => recordedAt)).size).toBe(3);
  });
});
