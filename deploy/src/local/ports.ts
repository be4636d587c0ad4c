import { randomInt } from 'node:crypto';
import { portIsFree } from '@tenantry/testing/ports';
import { type DataFolder, readIfThere, writeWhole } from './files.js';

/** Below the range that systems give to outgoing connections, so that a port is still free when its process is started again. */
const range = [20_000, 32_000] as const;

/**
 * Ports by name (`postgres`, `nats`, `gateway-1`, `billing-health`, …): the same as last time where they are free, others where not.
 */
export async function choosePorts(folder: DataFolder, names: readonly string[]): Promise<Map<string, number>> {
  const remembered = JSON.parse((await readIfThere(folder.portsFile)) ?? '{}') as Record<string, number>;
  const chosen = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of names) {
    let port = remembered[name];
    for (let attempts = 0; port === undefined || taken.has(port) || !(await portIsFree(port)); attempts++) {
      if (attempts > 500) throw new Error(`No free port from ${range[0]} to ${range[1]} for ${name}`);
      port = randomInt(...range);
    }
    taken.add(port);
    chosen.set(name, port);
  }
  await writeWhole(folder.portsFile, JSON.stringify(Object.fromEntries(chosen), null, 2));
  return chosen;
}
