import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PLATFORM } from '../harness/tenants.js';
import { trial } from './trial.js';

const hourMs = 3_600_000;
const preload = new URL('../../dist/faults/shifted-clock.js', import.meta.url).href;

it('the clock of all processes jumps an hour ahead, and back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tenantry-clock-'));
  const file = join(folder, 'offset');
  const jump = (byMs: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(byMs);
    return writeFile(file, bytes, { flag: 'r+' });
  };
  try {
    await writeFile(file, Buffer.alloc(8));
    const env = { NODE_OPTIONS: `--import=${preload}`, TENANTRY_FAULT_CLOCK: file };
    await trial('clock-jumps', { env, load: { creations: 6, commandsPerLane: 60 } }, async ({ system, random, workload, note }) => {
      for (const byMs of [hourMs, 0, -hourMs, 0]) {
        await workload.after(random.int(40, 100));
        await jump(byMs);
      }
      // The services have seen it: a usage line is dated by their clock.
      await jump(hourMs);
      const url = `${PLATFORM}/tenants/${workload.tenantIds[0]}`;
      const made = await system.api.post(`${url}/api-keys`, { name: 'later' });
      expect(made.status).toBe(201);
      const keys = (await system.api.get(`${url}/api-keys`)).body.items;
      const latest = Math.max(...keys.map(({ createdAt }: { createdAt: string }) => Date.parse(createdAt)));
      note(`a key was dated ${Math.round((latest - Date.now()) / 60_000)} min ahead`);
      expect(latest - Date.now()).toBeGreaterThan(hourMs / 2);
      await jump(0);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
