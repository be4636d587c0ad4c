import { setTimeout as sleep } from 'node:timers/promises';
import { tenantKey } from '@tenantry/contracts/ids';
import { expect, it } from 'vitest';
import { PLATFORM } from '../harness/tenants.js';
import { trial } from './trial.js';

const downMs = Number(process.env['TENANTRY_FAULT_DOWN_MS'] ?? 20_000);

it('one tenant’s database is down, and nobody else notices', async () => {
  const load = { commandsPerLane: 150, pauseMs: [100, 250] as [number, number], creations: 0 };
  await trial('tenant-database-down', { load }, async ({ system, workload, admin, random, note }) => {
    const { rows } = await admin.query<{ tenant: string }>(
      "SELECT tenant_id AS tenant FROM tenancy.placements WHERE isolation = 'isolated'",
    );
    const victim = random.pick(rows.map(({ tenant }) => tenant).sort());
    const database = `tenantry_t_${tenantKey(victim)}`;
    await workload.after(200);
    const downAtMs = performance.now();
    await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    let stale = 0;
    let reads = 0;
    try {
      while (performance.now() - downAtMs < downMs) {
        await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
        // What the others have just changed can be read, from their own schemas and from the list.
        for (const tenantId of workload.tenantIds.filter((id) => id !== victim)) {
          const url = `${PLATFORM}/tenants/${tenantId}`;
          const set = await system.api.put(`${url}/settings/probe`, { value: String(reads) });
          expect(set.status).toBe(200);
          const log = await system.api.get(`${url}/audit-logs?limit=1`, {
            'tenantry-min-position': set.headers.get('tenantry-position') as string,
          });
          expect(log.status).toBe(200);
          reads += 1;
          if (log.headers.get('tenantry-stale')) stale += 1;
        }
        await sleep(500);
      }
    } finally {
      await admin.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    }
    const upAtMs = performance.now();
    const median = (of: number[]) => Math.round([...of].sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0);
    const others = workload.sent.filter((sent) => sent.acknowledged && sent.tenantId !== victim && sent.route !== 'tenants.create');
    const during = others.filter(({ atMs }) => atMs > downAtMs && atMs < upAtMs);
    const before = others.filter(({ atMs }) => atMs < downAtMs);
    note(
      `down for ${Math.round((upAtMs - downAtMs) / 1000)} s; others p50 ${median(before.map((one) => one.tookMs))} ms before and ${median(during.map((one) => one.tookMs))} ms meanwhile; ${stale} of ${reads} reads after a write were stale`,
    );
    // None of the others had to try twice, and a busy machine alone makes a read stale now and then.
    expect(during.filter(({ attempts }) => attempts > 1)).toEqual([]);
    expect(stale).toBeLessThanOrEqual(reads * 0.05);
    expect(median(during.map((one) => one.tookMs))).toBeLessThan(3 * median(before.map((one) => one.tookMs)) + 100);
  });
});
