import { execFile } from 'node:child_process';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { kill, whileNothingRestarts } from './processes.js';
import { trial } from './trial.js';

const run = promisify(execFile);

it('PostgreSQL is set back to an older copy, behind the bus and everybody’s back', async () => {
  await trial(
    'set-back',
    { rewrites: true, load: { commandsPerLane: 90, planChanges: false } },
    async ({ system, random, workload, subscriber, note }) => {
      const { folder } = JSON.parse(await readFile(join(system.dataDir, 'postgres.json'), 'utf8')) as { folder: string };
      const [data, copy, lost] = ['data', 'copy', 'lost'].map((name) => join(folder, name)) as [string, string, string];
      await workload.after(random.int(150, 250));
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
      note(`${gone.length} acknowledged commands taken back, ${before} events were with the subscriber by then`);
    },
  );
});
