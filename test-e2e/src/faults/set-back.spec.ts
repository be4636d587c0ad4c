import { execFile } from 'node:child_process';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { TenantryApi } from '@tenantry/sdk/api';
import { subscribe } from '@tenantry/sdk/subscribe';
import { eventually } from '@tenantry/testing/eventually';
import { expect, it } from 'vitest';
import type { System } from '../harness/system.js';
import { kill, whileNothingRestarts } from './processes.js';
import { trial } from './trial.js';

const run = promisify(execFile);

/** Somebody else's program, with the SDK: what it holds of each log, by position. */
async function withSdk({ api }: System): Promise<{ held: Map<string, string[]>; rewritings(): number; stop(): Promise<void> }> {
  const client = new TenantryApi({ url: api.base, apiKey: api.key });
  const made = await client.createEventSubscription({ name: 'mirror', tenants: 'all', contexts: 'all', from: 'first' });
  const held = new Map<string, string[]>();
  let rewritings = 0;
  const running = await subscribe({
    subscription: made,
    credentials: made.credentials as string,
    api: client,
    handle: ({ tenantId, position, id }) => {
      const events = held.get(tenantId) ?? [];
      expect(position, `the next event of ${tenantId}`).toBe(events.length);
      held.set(tenantId, [...events, id]);
    },
    onRewritten: ({ tenantId, from }) => {
      rewritings += 1;
      held.set(tenantId, (held.get(tenantId) ?? []).slice(0, from));
    },
  });
  return { held, rewritings: () => rewritings, stop: () => running.stop() };
}

it('PostgreSQL is set back to an older copy, behind the bus and everybody’s back', async () => {
  await trial(
    'set-back',
    { rewrites: true, load: { commandsPerLane: 90, planChanges: false } },
    async ({ system, random, workload, subscriber, admin, note }) => {
      const { folder } = JSON.parse(await readFile(join(system.dataDir, 'postgres.json'), 'utf8')) as { folder: string };
      const [data, copy, lost] = ['data', 'copy', 'lost'].map((name) => join(folder, name)) as [string, string, string];
      await workload.after(random.int(150, 250));
      const mirror = await withSdk(system);
      // What a power failure leaves on the disk is a whole copy: the server recovers from its own log.
      await whileNothingRestarts(system, async () => {
        await kill(system, 'postgres');
        await run('cp', ['-a', data, copy]);
      });
      const copiedAtMs = performance.now();
      await workload.after(random.int(150, 250));
      await whileNothingRestarts(system, async () => {
        await kill(system, 'postgres');
        await rename(data, lost);
        await rename(copy, data);
        // Answers that were on their way have arrived.
        await sleep(500);
      });
      const backAtMs = performance.now();
      await rm(lost, { recursive: true });
      // What was acknowledged meanwhile is gone, and is not asked for.
      const gone = workload.sent.filter(({ acknowledged, atMs }) => acknowledged && atMs > copiedAtMs && atMs < backAtMs);
      for (const sent of gone) workload.sent.splice(workload.sent.indexOf(sent), 1);
      expect(gone.length, 'acknowledged commands that the copy does not hold').toBeGreaterThan(50);
      const before = [...subscriber.taken.values()].reduce((sum, taken) => sum + taken.length, 0);
      // Until the load is over: each of the first tenants' logs grows past where it was.
      await workload.after(Infinity);
      try {
        await eventually(
          async () => {
            const { rows } = await admin.query<{ tenant: string; ids: string[] }>(
              'SELECT tenant_id AS tenant, array_agg(id::text ORDER BY position) AS ids FROM log.events WHERE tenant_id = ANY ($1) GROUP BY 1',
              [workload.tenantIds.slice(0, 6)],
            );
            for (const { tenant, ids } of rows) expect(mirror.held.get(tenant), `what the SDK's user holds of ${tenant}`).toEqual(ids);
            return true;
          },
          { timeoutMs: 60_000, intervalMs: 500, what: 'the SDK to hold the history that is' },
        );
        expect(mirror.rewritings()).toBeGreaterThan(0);
      } finally {
        await mirror.stop();
      }
      note(`the SDK’s user was told of ${mirror.rewritings()} rewritten logs and holds what is`);
      note(`${gone.length} acknowledged commands taken back, ${before} events were with the subscriber by then`);
    },
  );
});
