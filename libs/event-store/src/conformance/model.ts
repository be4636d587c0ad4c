import { newId } from '@tenantry/contracts/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventStore } from '../port.js';
import { command, type OpenStore, positions, wholeLog } from './given.js';

const STREAMS = ['a', 'b', 'c'];
const TYPES = ['Red', 'Green', 'Blue'];
const CONTEXTS = ['tenant', 'quota', 'billing'] as const;

/** The rules of a log in the fewest words: what any history of commands must come to. */
interface Model {
  tenants: string[];
  logs: { stream: string; version: number; commandId: string; type: string; context: string; id: string }[][];
  commands: Map<string, { hmac: string | null; positions: number[] }>[];
  /** The store that is open; another one after a restart. */
  store: EventStore;
}
type Real = { open: OpenStore };

interface Given {
  tenant: number;
  stream: string;
  commandId: string;
  hmac: string | null;
  events: { type: string; context: (typeof CONTEXTS)[number] }[];
  /** How far the expectation is off; mostly it is right. */
  off: number;
  /** Whether it names the event that it expects: the right one, or another. */
  names: 'nothing' | 'right' | 'wrong';
}
const given: fc.Arbitrary<Given> = fc.record({
  tenant: fc.nat({ max: 1 }),
  stream: fc.constantFrom(...STREAMS),
  commandId: fc.nat({ max: 12 }).map((n) => `command-${n}`),
  hmac: fc.constantFrom(null, 'aa', 'bb'),
  events: fc.array(fc.record({ type: fc.constantFrom(...TYPES), context: fc.constantFrom(...CONTEXTS) }), { minLength: 1, maxLength: 3 }),
  off: fc.constantFrom(0, 0, 0, 0, 0, -1, 1),
  names: fc.constantFrom('nothing', 'nothing', 'right', 'right', 'wrong'),
});

/** The command as it is sent, on what the model is now, and what must become of it; the model goes on. */
function predict(model: Model, { tenant, stream, commandId, hmac, events, off, names }: Given) {
  const log = model.logs[tenant] ?? [];
  const ofStream = log.filter((event) => event.stream === stream);
  const version = ofStream.length - 1;
  const last = ofStream.at(-1)?.id;
  const prepared = command(model.tenants[tenant] as string, {
    stream,
    commandId,
    requestHmac: hmac,
    expectedVersion: version + off,
    events,
  });
  const expectedEventId = names === 'wrong' ? newId() : last;
  const sent = names === 'nothing' || expectedEventId === undefined ? prepared : { ...prepared, expectedEventId };
  const known = model.commands[tenant]?.get(commandId);
  if (known)
    return {
      sent,
      outcome: known.hmac === hmac ? 'repeated' : 'idempotency.mismatch',
      positions: known.hmac === hmac ? known.positions : [],
    };
  // Nothing can be named in a stream that does not exist: whoever names an event there is refused.
  if (off !== 0 || ('expectedEventId' in sent && sent.expectedEventId !== last)) return { sent, outcome: 'log.conflict', positions: [] };
  const added = prepared.events.map((event, n) => {
    log.push({ stream, version: version + 1 + n, commandId, type: event.type, context: event.context, id: event.id });
    return log.length - 1;
  });
  model.commands[tenant]?.set(commandId, { hmac, positions: added });
  return { sent, outcome: 'appended', positions: added };
}

/** Some commands at the same moment: they share a group, and are decided in the order given. */
class Append implements fc.AsyncCommand<Model, Real> {
  constructor(private readonly together: Given[]) {}
  check = () => true;
  async run(model: Model): Promise<void> {
    const expected = this.together.map((each) => predict(model, each));
    const results = await Promise.all(
      expected.map(({ sent }) =>
        model.store.append(sent).then(
          ({ outcome, events }) => ({ outcome: outcome as string, positions: positions(events) }),
          (error: { code: string }) => ({ outcome: error.code, positions: [] }),
        ),
      ),
    );
    expect(results).toEqual(expected.map(({ outcome, positions: at }) => ({ outcome, positions: at })));
  }
  toString = () => `append(${JSON.stringify(this.together)})`;
}

class ReadPage implements fc.AsyncCommand<Model, Real> {
  constructor(
    private readonly tenant: number,
    private readonly from: number,
    private readonly limit: number,
    private readonly types: string[] | undefined,
  ) {}
  check = () => true;
  async run(model: Model): Promise<void> {
    const { types, from, limit } = this;
    const log = model.logs[this.tenant] ?? [];
    const matching = log
      .flatMap(({ type }, position) => (position >= from && (!types || types.includes(type)) ? [position] : []))
      .slice(0, limit);
    const slice = await model.store.readLog(model.tenants[this.tenant] as string, from, { limit, types });
    expect({ ...slice, events: positions(slice.events) }).toEqual({
      events: matching,
      scannedTo: matching.length === limit ? matching.at(-1) : Math.max(log.length - 1, from - 1),
      head: log.length - 1,
    });
  }
  toString = () => `readLog(${this.tenant}, ${this.from}, ${this.limit}, ${this.types})`;
}

class ReadStream implements fc.AsyncCommand<Model, Real> {
  constructor(
    private readonly tenant: number,
    private readonly stream: string,
    private readonly fromVersion: number,
    private readonly commandId: string,
  ) {}
  check = () => true;
  async run(model: Model): Promise<void> {
    const { tenant, stream, fromVersion, commandId } = this;
    const slice = await model.store.readStream(model.tenants[tenant] as string, stream, { fromVersion, commandId });
    const expected = (model.logs[tenant] ?? []).filter((event) => event.stream === stream && event.version >= fromVersion);
    expect(slice.events.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    const known = model.commands[tenant]?.get(commandId);
    expect(slice.command && [slice.command.requestHmac, slice.command.firstPosition, slice.command.lastPosition]).toEqual(
      known ? [known.hmac, known.positions[0], known.positions.at(-1)] : null,
    );
  }
  toString = () => `readStream(${this.tenant}, ${this.stream}, ${this.fromVersion}, ${this.commandId})`;
}

class Restart implements fc.AsyncCommand<Model, Real> {
  check = () => true;
  async run(model: Model, { open }: Real): Promise<void> {
    model.store = await open();
  }
  toString = () => 'restart()';
}

/** Everything, at the end: positions, versions, contexts. */
async function checkAll({ tenants, logs, store }: Model): Promise<void> {
  for (const [n, tenantId] of tenants.entries()) {
    const expected = logs[n] ?? [];
    const log = await wholeLog(store, tenantId);
    expect(
      log.map(({ position, stream, streamVersion, id, metadata }) => ({
        position,
        stream,
        streamVersion,
        id,
        commandId: metadata.commandId,
      })),
    ).toEqual(
      expected.map(({ stream, version, id, commandId }, position) => ({ position, stream, streamVersion: version, id, commandId })),
    );
    log.forEach(({ context, previousInContext }, at) => {
      const before = expected.slice(0, at).findLastIndex((event) => event.context === context);
      expect(previousInContext).toBe(before === -1 ? null : before);
    });
    expect(await store.heads({ tenantIds: [tenantId] })).toEqual(
      expected.length === 0 ? [] : [{ tenantId, position: expected.length - 1 }],
    );
  }
}

/** Any history of commands, reads and restarts on a store comes to what the model says. */
export function modelProperty(name: string, open: OpenStore, numRuns: number): void {
  const steps = fc.commands(
    [
      fc.array(given, { minLength: 1, maxLength: 6 }).map((together) => new Append(together)),
      fc
        .tuple(fc.nat({ max: 1 }), fc.nat({ max: 40 }), fc.integer({ min: 1, max: 8 }), fc.option(fc.subarray(TYPES), { nil: undefined }))
        .map((parts) => new ReadPage(...parts)),
      fc
        .tuple(
          fc.nat({ max: 1 }),
          fc.constantFrom(...STREAMS),
          fc.nat({ max: 6 }),
          fc.nat({ max: 14 }).map((n) => `command-${n}`),
        )
        .map((parts) => new ReadStream(...parts)),
      fc.constant(new Restart()),
    ],
    { maxCommands: 40 },
  );
  describe(`any history of commands: ${name}`, () => {
    it('comes to what the rules say', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (commands) => {
          let last: Model | undefined;
          const setUp = async () => {
            last = { tenants: [newId(), newId()], logs: [[], []], commands: [new Map(), new Map()], store: await open() };
            return { model: last, real: { open } };
          };
          await fc.asyncModelRun(setUp, commands);
          if (last) await checkAll(last);
        }),
        { numRuns },
      );
    }, 120_000);
  });
}
