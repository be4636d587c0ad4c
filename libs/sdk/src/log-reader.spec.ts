import { expect, it } from 'vitest';
import type { TenantryApi } from './api.js';
import { ChainState } from './chain.js';
import type { TenantEvent } from './event.js';
import { LogReader } from './log-reader.js';

const event = (position: number, id = `e${position}`): TenantEvent => ({
  ...{ tenantId: 't', position, id, context: 'tenant', type: 'X', version: 1, stream: 's', data: {} },
  ...{ previousInContext: position === 0 ? null : position - 1, recordedAt: new Date(position * 1000).toISOString() },
});
const readerOf = (log: TenantEvent[]) => {
  const events = async (_tenantId: string, after: number, limit = 200) => ({
    items: log.slice(after + 1, after + 1 + limit),
    head: log.length - 1,
  });
  return new LogReader({ events } as unknown as TenantryApi);
};
const log = (length: number, from = length) =>
  Array.from({ length }, (_, position) => event(position, position < from ? undefined : `new${position}`));
const chainOf = (events: TenantEvent[], context = 'all') => {
  const chain = new ChainState(context, { position: -1, eventId: null }, null);
  for (const each of events) chain.advance(each);
  return chain;
};

it.each([
  [500, 450, 500, 450],
  [500, 301, 500, 301],
  [500, 299, 500, 0],
  [500, 450, 451, 450],
  [500, 500, 480, 480],
  [500, 500, 100, 0],
  [500, 500, 700, 500],
  [0, 0, 10, 0],
])(
  'of %i events that are known and a log that is another from %i on and has %i, the difference begins at %i',
  async (known, from, length, expected) => {
    expect(await readerOf(log(length, from)).divergence(chainOf(log(known)), 't')).toBe(expected);
  },
);

it('a sparse chain finds its difference over many pages', async () => {
  const sparse = log(5_000).filter(({ position }) => position % 100 === 7);
  expect(await readerOf(log(5_000, 3_000)).divergence(chainOf(sparse, 'tenant'), 't')).toBe(2_908);
  expect(await readerOf(log(5_000)).divergence(chainOf(sparse, 'tenant'), 't')).toBe(4_908);
});

it.each([
  [0, 0],
  [-5, 0],
  [1, 1],
  [499.5, 500],
  [999, 999],
  [1_000, 1_000],
  [5_000, 1_000],
])('the first event since second %d is at %i', async (second, expected) => {
  expect(await readerOf(log(1_000)).firstSince('t', new Date(second * 1000).toISOString())).toBe(expected);
});

it('of nothing is at 0', async () => {
  expect(await readerOf([]).firstSince('t', new Date().toISOString())).toBe(0);
});
