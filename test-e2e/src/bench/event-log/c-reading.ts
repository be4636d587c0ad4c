/**
 * Reading a log from its beginning to its end in pages, as a rebuild does, beside a bare `SELECT *` of the same rows in the
 * same pages over the same driver. Median of several rounds that take turns. Then the memory of this process while a million
 * events are appended and read.
 */

import { randomUUID } from 'node:crypto';
import { PostgresEventStore } from '@tenantry/event-store/adapters/postgres/postgres-event-store';
import { type BenchContext, median, type Part, Pools, round } from './bench.js';
import { flatMemory } from './flat-memory.js';
import { appendCommand } from './payload.js';

const PAGE = 2_000;

export async function part({ postgres, quick, log }: BenchContext): Promise<Part> {
  const total = quick ? 5_000 : 100_000;
  const rounds = quick ? 1 : 5;
  await using pools = new Pools();
  const store = new PostgresEventStore(pools.open(postgres.serviceUrl, 1));
  const bare = pools.open(postgres.serviceUrl, 1);
  const tenantId = randomUUID();
  for (let written = 0; written < total; written += 100) await store.append(appendCommand(tenantId, 'bench', written - 1, 100));

  const readOurs = async () => {
    let seen = 0;
    for (let from = 0; ; ) {
      const slice = await store.readLog(tenantId, from, { limit: PAGE });
      seen += slice.events.length;
      if (slice.scannedTo >= slice.head) return seen;
      from = slice.scannedTo + 1;
    }
  };
  const readBare = async () => {
    let seen = 0;
    for (;;) {
      const { rows } = await bare.query({
        name: 'bare',
        text: 'SELECT * FROM log.events WHERE tenant_id = $1 AND position >= $2 ORDER BY position LIMIT $3',
        values: [tenantId, seen, PAGE],
      });
      seen += rows.length;
      if (rows.length < PAGE) return seen;
    }
  };
  const rateOf = async (read: () => Promise<number>) => {
    const begun = performance.now();
    const seen = await read();
    if (seen !== total) throw new Error(`${seen} of ${total} events were read`);
    return total / ((performance.now() - begun) / 1000);
  };
  await rateOf(readOurs);
  await rateOf(readBare);
  const ours: number[] = [];
  const reference: number[] = [];
  for (let n = 0; n < rounds; n++) {
    ours.push(await rateOf(readOurs));
    reference.push(await rateOf(readBare));
  }
  const result = { ours: round(median(ours)), reference: round(median(reference)) };
  const ratio = round(result.ours / result.reference, 2);
  log(`reading ${total} events: ${result.ours}/s; bare SELECT: ${result.reference}/s; ratio ${ratio}`);
  const memory = await flatMemory(store, randomUUID(), quick ? 5_000 : 1_000_000);
  for (const [what, { atATenthMb, atTheEndMb, ratio: grown }] of Object.entries(memory)) {
    log(`memory, ${what} ${quick ? 'a few' : 'a million'} events: ${atATenthMb} MB at a tenth, ${atTheEndMb} MB at the end (${grown} ×)`);
  }
  return { ...result, ratio, references: { bare: result.reference }, ratios: { bare: ratio }, events: total, memory };
}
