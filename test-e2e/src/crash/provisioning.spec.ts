import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { faultPoints } from '@tenantry/contracts/fault-points';
import { provisioningSteps } from '@tenantry/contracts/tenant/events';
import { describe, expect, it } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { settled } from '../harness/tenants.js';
import { checkWhole, createThrough } from './checks.js';

/** Ends the system whatever happens; one that does not end cleanly is a failure too. */
async function within(env: Record<string, string>, work: (system: System) => Promise<void>): Promise<void> {
  const system = await startSystem(env);
  let code: number | null;
  try {
    await work(system);
  } finally {
    code = await system.stop();
  }
  expect(code).toBe(0);
}

// Side by side: they mostly wait for what was killed to come back.
describe.concurrent.each(['kill', 'kill-postgres', 'kill-nats'])('one creation that meets %s at every point of provisioning', (action) => {
  it(
    'ends whole: active, nothing doubled, no step half done',
    () =>
      within({ TENANTRY_FAULT: `provisioning:*:${action}` }, async (system) => {
        const begun = performance.now();
        const created = await createThrough(system, { name: `Survivor of ${action}`, adminEmail: 'ada@survivor.example' }, action, 120_000);
        const status = await checkWhole(system, created.id, 240_000);
        expect(status).toBe('active');
        const fired = await readdir(join(system.dataDir, 'faults'));
        const points = fired.map((file) => file.split('.').slice(1, 3).join('.'));
        for (const step of provisioningSteps) expect(points).toEqual(expect.arrayContaining([`${step}.done`, `${step}.recorded`]));
        console.log(
          `${action}: ${fired.length} of ${faultPoints.provisioning.length} points fired; whole after ${Math.round(performance.now() - begun)} ms`,
        );
      }),
    400_000,
  );
});

describe('a step that fails for good', () => {
  it(
    'is compensated in reverse, and the tenant can be retried',
    () =>
      within({}, async (system) => {
        // The place of its files is taken by a file: no attempt can succeed until it is gone.
        const storage = join(system.dataDir, 'storage');
        await mkdir(storage, { recursive: true });
        await rename(storage, `${storage}.away`);
        await writeFile(storage, 'in the way');
        const created = await createThrough(system, { name: 'Unlucky', slug: 'unlucky', adminEmail: 'x@unlucky.example' }, 'unlucky');
        expect(await checkWhole(system, created.id, 60_000)).toBe('failed');
        const operation = (await system.api.get(created.operation.url)).body;
        expect(operation).toMatchObject({ status: 'compensated', error: { code: expect.any(String), detail: expect.any(String) } });
        const status = Object.fromEntries(operation.steps.map((step: any) => [step.name, step.status]));
        expect(status).toMatchObject({
          register: 'compensated',
          allocate: 'compensated',
          secure: 'compensated',
          isolate: 'compensated',
          store: 'failed',
          domain: 'pending',
        });

        await rm(storage);
        await rename(`${storage}.away`, storage);
        const retried = await system.api.post(`/api/v1/platform/tenants/${created.id}/retry`);
        expect(retried.status).toBe(202);
        expect(retried.body.operation.id).not.toBe(created.operation.id);
        expect((await settled(system.api, created.id, 60_000)).status).toBe('active');
      }),
    200_000,
  );
});
