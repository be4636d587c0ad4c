import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pointsOfCreation } from '@tenantry/contracts/fault-points';
import { provisioningSteps } from '@tenantry/contracts/tenant/events';
import { describe, expect, it } from 'vitest';
import { seeded } from '../faults/random.js';
import { type System, sharedSystem, startSystem } from '../harness/system.js';
import { PLATFORM, settled, unique } from '../harness/tenants.js';
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

const actions = ['kill', 'kill-postgres', 'kill-nats'];
const points = pointsOfCreation('provisioning');
const first = seeded('crash').int(0, actions.length - 1);

// Every point is met, each in one of these ways: another one with every seed. All of them in every way are the matrix of `npm run test:faults`.
// Side by side: they mostly wait for what was killed to come back.
describe.concurrent.each(actions)('one creation that meets %s at its share of the points of provisioning', (action) => {
  it('ends whole: active, nothing doubled, no step half done', () => {
    const share = points.filter((_, n) => actions[(first + n) % actions.length] === action);
    return within({ TENANTRY_FAULT: share.map((point) => `provisioning:${point}:${action}`).join() }, async (system) => {
      const begun = performance.now();
      const created = await createThrough(system, { name: `Survivor of ${action}`, adminEmail: 'ada@survivor.example' }, action, 120_000);
      const status = await checkWhole(system, created.id, 240_000);
      expect(status).toBe('active');
      const fired = (await readdir(join(system.dataDir, 'faults'))).map((file) => file.split('.').slice(1, 3).join('.'));
      const ofSteps = share.filter((point) => provisioningSteps.some((step) => point.startsWith(`${step}.`)));
      expect(ofSteps.length).toBeGreaterThan(5);
      expect(fired).toEqual(expect.arrayContaining(ofSteps));
      console.log(`${action}: ${fired.length} of ${share.length} points fired; whole after ${Math.round(performance.now() - begun)} ms`);
    });
  }, 400_000);
});

describe('a step that fails for good', () => {
  it('is compensated in reverse, and the tenant can be retried', async () => {
    const { api, run } = await sharedSystem();
    // The place of its files is taken by a file: no attempt can succeed until it is gone.
    const storage = join(process.env['TENANTRY_E2E_DATA_DIR'] as string, 'storage');
    await mkdir(storage, { recursive: true });
    await rename(storage, `${storage}.away`);
    const slug = unique('unlucky').toLowerCase();
    let created: any;
    try {
      await writeFile(storage, 'in the way');
      created = await createThrough({ api }, { name: 'Unlucky', slug, adminEmail: 'x@unlucky.example' }, slug);
      expect(await checkWhole({ api, run: async () => run }, created.id, 60_000)).toBe('failed');
      const operation = (await api.get(created.operation.url)).body;
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
    } finally {
      await rm(storage, { force: true });
      await rename(`${storage}.away`, storage);
    }
    const retried = await api.post(`${PLATFORM}/tenants/${created.id}/retry`);
    expect(retried.status).toBe(202);
    expect(retried.body.operation.id).not.toBe(created.operation.id);
    expect((await settled(api, created.id, 60_000)).status).toBe('active');
  }, 200_000);
});
