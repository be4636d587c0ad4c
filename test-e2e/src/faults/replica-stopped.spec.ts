import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'vitest';
import { pidOf } from './processes.js';
import { trial } from './trial.js';

/** Past the relay's lease (10 s), the effects' heartbeat (10 s) and what a transaction may idle (5 s). */
const frozenMs = 16_000;

it('one replica of each is stopped, misses its time, and wakes', async () => {
  const env = { TENANTRY_REPLICAS: 'relay=2,provisioning=2,identity=2' };
  await trial('replica-stopped', { env, load: { commandsPerLane: 60 } }, async ({ system, random, workload, note }) => {
    const stopped = ['relay', 'provisioning', 'identity'].map((name) => (random.next() < 0.5 ? name : `${name}-1`));
    await workload.after(random.int(20, 60));
    const pids = await Promise.all(stopped.map((label) => pidOf(system, label)));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      await sleep(frozenMs);
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
    note(`stopped ${stopped.join(', ')} for ${frozenMs / 1000} s`);
  });
});
