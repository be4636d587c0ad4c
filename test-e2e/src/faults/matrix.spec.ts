import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { faultPoints, pointsOfCreation } from '@tenantry/contracts/fault-points';
import { afterEach, describe, expect, it } from 'vitest';
import { checkWhole, createThrough } from '../crash/checks.js';
import { type System, startSystem } from '../harness/system.js';

let system: System | undefined;
afterEach(async () => {
  await system?.stop();
  system = undefined;
});

const matrix = (Object.keys(faultPoints) as (keyof typeof faultPoints)[]).flatMap((process) =>
  ['kill', 'fail', 'kill-postgres', 'kill-nats'].map((action) => [process, action] as const),
);

/** Every process at every one of its points; one creation of each level goes through. */
describe.each(matrix)('%s meets %s at every point', (process, action) => {
  it('and every creation ends whole', async () => {
    system = await startSystem({ TENANTRY_FAULT: `${process}:*:${action}` });
    const on = system;
    const levels = ['shared', 'dedicated', 'isolated'];
    const created = await Promise.all(
      levels.map((isolation) =>
        createThrough(
          on,
          { name: `${process} ${action} ${isolation}`, isolation, adminEmail: 'a@matrix.example' },
          `${process}-${action}-${isolation}`,
          180_000,
        ),
      ),
    );
    for (const tenant of created) expect(await checkWhole(on, tenant.id, 300_000)).toBe('active');
    const fired = (await readdir(join(on.dataDir, 'faults')).catch(() => [])).length;
    console.log(`${process} ${action}: ${fired} of ${pointsOfCreation(process).length} points fired`);
    expect(fired, 'points that were met').toBe(pointsOfCreation(process).length);
  }, 600_000);
});
