import { DomainError } from '@tenantry/contracts/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { command } from '../../conformance/given.js';
import { MemoryEventStore } from './memory-event-store.js';

/** The rules of appending, in the fewest words: what any history of commands must come to. */
interface Model {
  log: { stream: string; commandId: string }[];
  commands: Map<string, { hmac: string | null; positions: number[] }>;
}

const tenants = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;
const step = fc.record({
  tenant: fc.constantFrom(...tenants),
  stream: fc.constantFrom('a', 'b', 'c'),
  commandId: fc.integer({ min: 0, max: 12 }).map((n) => `command-${n}`),
  hmac: fc.constantFrom(null, 'aa', 'bb'),
  events: fc.integer({ min: 1, max: 3 }),
  /** How far the expectation is off; mostly it is right. */
  off: fc.constantFrom(0, 0, 0, 0, -1, 1),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function predict(model: Model, { stream, commandId, hmac, events, off }: Step): { outcome: string; positions: number[] } {
  const known = model.commands.get(commandId);
  if (known)
    return known.hmac === hmac ? { outcome: 'repeated', positions: known.positions } : { outcome: 'idempotency.mismatch', positions: [] };
  if (off !== 0) return { outcome: 'log.conflict', positions: [] };
  const positions = Array.from({ length: events }, (_, index) => model.log.length + index);
  for (const _ of positions) model.log.push({ stream, commandId });
  model.commands.set(commandId, { hmac, positions });
  return { outcome: 'appended', positions };
}

describe('any history of commands', () => {
  it('comes to what the rules say, one by one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const store = new MemoryEventStore();
        const models = new Map(tenants.map((tenant): [string, Model] => [tenant, { log: [], commands: new Map() }]));
        for (const given of steps) {
          const model = models.get(given.tenant) as Model;
          const version = model.log.filter(({ stream }) => stream === given.stream).length - 1;
          const expected = predict(model, given);
          const result = await store
            .append(
              command(given.tenant, {
                stream: given.stream,
                commandId: given.commandId,
                requestHmac: given.hmac,
                expectedVersion: version + given.off,
                events: Array.from({ length: given.events }, () => ({})),
              }),
            )
            .then(
              ({ outcome, events }) => ({ outcome: outcome as string, positions: events.map(({ position }) => position) }),
              (error: DomainError) => ({ outcome: error.code as string, positions: [] }),
            );
          expect(result).toEqual(expected);
        }
        for (const [tenant, { log }] of models) {
          const { events, head } = await store.readLog(tenant, 0);
          expect(head).toBe(log.length - 1);
          expect(events.map(({ position, stream, metadata }) => ({ position, stream, commandId: metadata.commandId }))).toEqual(
            log.map((entry, position) => ({ position, ...entry })),
          );
          for (const stream of ['a', 'b', 'c']) {
            const versions = (await store.readStream(tenant, stream)).events.map(({ streamVersion }) => streamVersion);
            expect(versions).toEqual(versions.map((_, index) => index));
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
