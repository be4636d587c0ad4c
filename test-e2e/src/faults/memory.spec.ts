import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { migrationFiles, repositoryRoot } from '@tenantry/tenancy/migration-files';
import { startNats } from '@tenantry/testing/nats';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { expect, it } from 'vitest';

interface Sample {
  events: number;
  rssMb: number;
  heapMb: number;
}
const events = Number(process.env['TENANTRY_MEMORY_EVENTS'] ?? 1_000_000);
const seconds = Number(process.env['TENANTRY_MEMORY_SECONDS'] ?? 300);

it(`memory stays flat over ${events} events that are appended, published and projected, or as many as ${seconds} s allow`, async () => {
  await using postgres = await startPostgres({ max_wal_size: '4GB' });
  await using nats = await startNats();
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  for (const { sql } of await migrationFiles(`${repositoryRoot}libs/event-store/migrations`)) await admin.query(sql);
  await admin.end();

  const script = fileURLToPath(new URL('../../dist/faults/memory-run.js', import.meta.url));
  const child = spawn(process.execPath, ['--expose-gc', script, postgres.url, nats.url, String(events), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const samples: Sample[] = [];
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) samples.push(JSON.parse(line));
  expect(await closed).toEqual([0, null]);

  const last = samples.at(-1) as Sample;
  const tenth = samples.find((sample) => sample.events >= last.events / 10) as Sample;
  const peak = Math.max(...samples.map(({ rssMb }) => rssMb));
  console.log(
    `memory: ${last.events} events, RSS ${tenth.rssMb} MB at a tenth, ${last.rssMb} MB at the end (${(last.rssMb / tenth.rssMb).toFixed(2)}), peak ${peak} MB; heap ${tenth.heapMb} and ${last.heapMb} MB`,
  );
  expect(samples.length).toBeGreaterThan(10);
  expect(last.events).toBeGreaterThanOrEqual(Math.min(events, 100_000));
  expect(last.rssMb / tenth.rssMb).toBeLessThanOrEqual(1.3);
}, 900_000);
