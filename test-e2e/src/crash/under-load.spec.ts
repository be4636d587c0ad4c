import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'vitest';
import { kill, whileNothingRestarts } from '../faults/processes.js';
import { trial } from '../faults/trial.js';

// A sample of the long fault tests (`npm run test:faults`), with their load and their checks.
it('under load, a process, PostgreSQL and the broker are killed, and the broker has lost its folder', async () => {
  const load = { commandsPerLane: 25, creations: 1 };
  await trial('sample', { tenants: 3, load }, async ({ system, random, workload, note }) => {
    const victim = random.pick(['relay', 'provisioning', 'identity', 'quota-metering', 'audit']);
    for (const label of [victim, 'postgres']) {
      await workload.after(random.int(15, 30));
      await kill(system, label);
    }
    await workload.after(random.int(15, 30));
    await whileNothingRestarts(system, async () => {
      await kill(system, 'nats');
      const folder = join(system.dataDir, 'nats', 'jetstream');
      await rename(folder, `${folder}.gone`);
      await rm(`${folder}.gone`, { recursive: true });
    });
    note(`killed ${victim}, postgres, nats`);
  });
}, 300_000);
