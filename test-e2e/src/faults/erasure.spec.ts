import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { faultPoints } from '@tenantry/contracts/fault-points';
import { describe, expect, it } from 'vitest';
import { erase } from '../harness/deletion.js';
import { searchFiles, searchPostgres } from '../harness/search.js';
import { startSystem } from '../harness/system.js';
import { activeTenant, PLATFORM, unique } from '../harness/tenants.js';

const points = faultPoints.provisioning.filter((point) => /^erasure\..*\.(done|recorded)$/.test(point));

describe.each(['kill', 'kill-postgres'])('an erasure that meets %s at every point', (action) => {
  it('ends with everything erased, once, and a certificate', async () => {
    const system = await startSystem({ TENANTRY_FAULT: points.map((point) => `provisioning:${point}:${action}`).join() });
    try {
      const { api } = system;
      const needle = unique('planted');
      const { tenant } = await activeTenant(api, { name: 'Gone', isolation: 'dedicated', adminEmail: `${needle}@people.example` });
      const { tenant: other } = await activeTenant(api, { name: 'Stays', adminEmail: 'who@stays.example' });
      const operation = await erase(api, tenant, 300_000);
      expect(operation, JSON.stringify(operation)).toMatchObject({ status: 'succeeded' });
      const fired = (await readdir(join(system.dataDir, 'faults'))).join('\n');
      for (const point of points) expect(fired).toContain(point);

      const { body } = await api.get(`${PLATFORM}/tenants/${tenant.id}/erasure-certificate`);
      expect(body.stores.filter(({ found }: { found: number }) => found > 0)).toEqual([]);
      const { postgresUrl } = await system.run();
      expect(await searchPostgres(postgresUrl, needle)).toEqual([]);
      expect(await searchFiles(system.dataDir, needle, ['postgres'])).toEqual([]);
      expect((await api.get(`${PLATFORM}/tenants/${other.id}`)).body.adminEmail).toBe('who@stays.example');
    } finally {
      await system.stop();
    }
  });
});
