import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { faultPoints, pointsOfCreation } from '@tenantry/contracts/fault-points';
import { describe, expect, it } from 'vitest';
import { checkWhole, createThrough } from '../crash/checks.js';
import { type System, startSystem } from '../harness/system.js';

/** So many at once: each mostly waits for what was killed to come back. */
const lanes = [Promise.resolve(), Promise.resolve()];
function inTurn(trial: number, work: () => Promise<void>): Promise<void> {
  const lane = trial % lanes.length;
  const run = (lanes[lane] as Promise<void>).then(work);
  lanes[lane] = run.catch(() => undefined); // its own test tells
  return run;
}

async function within(env: Record<string, string>, work: (system: System) => Promise<void>): Promise<void> {
  const system = await startSystem(env);
  try {
    await work(system);
  } finally {
    await system.stop();
  }
}

const matrix = (Object.keys(faultPoints) as (keyof typeof faultPoints)[]).flatMap((process) =>
  ['kill', 'fail', 'kill-postgres', 'kill-nats'].map((action) => [process, action] as const),
);

/** Every process at every one of its points; one creation of each level goes through. */
describe.concurrent.each(matrix.map(([process, action], trial) => ({ process, action, trial })))(
  '$process meets $action at every point',
  ({ process, action, trial }) => {
    it(
      'and every creation ends whole',
      () => inTurn(trial, () => within({ TENANTRY_FAULT: `${process}:*:${action}` }, (system) => met(system, process, action))),
      3_000_000,
    );
  },
);

async function met(system: System, process: (typeof matrix)[number][0], action: string): Promise<void> {
  const levels = ['shared', 'dedicated', 'isolated'];
  const created = await Promise.all(
    levels.map((isolation) =>
      createThrough(
        system,
        { name: `${process} ${action} ${isolation}`, isolation, adminEmail: 'a@matrix.example' },
        `${process}-${action}-${isolation}`,
        180_000,
      ),
    ),
  );
  for (const tenant of created) expect(await checkWhole(system, tenant.id, 300_000)).toBe('active');
  const fired = (await readdir(join(system.dataDir, 'faults')).catch(() => [])).length;
  console.log(`${process} ${action}: ${fired} of ${pointsOfCreation(process).length} points fired`);
  expect(fired, 'points that were met').toBe(pointsOfCreation(process).length);
}
