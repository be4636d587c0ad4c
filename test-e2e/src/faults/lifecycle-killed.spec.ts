import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, it } from 'vitest';
import { walk } from '../harness/lifecycle-walk.js';
import { type System, startSystem } from '../harness/system.js';
import { kill, untilReady } from './processes.js';
import { seeded } from './random.js';

let system: System;
beforeAll(async () => {
  system = await startSystem({ TENANTRY_REPLICAS: 'provisioning=2' });
});
afterAll(() => system.stop());

it('a tenant goes through its states as the table says, while processes are killed in between', async () => {
  const random = seeded('lifecycle-killed');
  await Promise.all(
    [1, 2, 3].map((lane) =>
      walk(system.api, random.of(lane), 60, async (step) => {
        if (lane !== 1 || step % 6 !== 3) return;
        await sleep(random.int(0, 30));
        await kill(system, random.pick(['provisioning', 'provisioning-1', 'gateway', 'relay', 'identity']));
      }),
    ),
  );
  await untilReady(system);
});
