import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@tenantry/testing/eventually';
import { untilGone } from '@tenantry/testing/process';
import type { System } from '../harness/system.js';

/** Its process id as of now. `label` is the name, with `-1` and so on for further replicas. Waits for one that is being restarted. */
export async function pidOf(system: System, label: string): Promise<number> {
  return eventually(
    async () => {
      const pid = Number.parseInt(await readFile(join(system.dataDir, 'pids', `${label}.pid`), 'utf8'), 10);
      return pid > 1 && pid;
    },
    { timeoutMs: 60_000, intervalMs: 20, what: `${label} to run` },
  );
}

/** SIGKILL: what the power cord does. Resolves when it is gone. */
export async function kill(system: System, label: string): Promise<void> {
  const pid = await pidOf(system, label);
  process.kill(pid, 'SIGKILL');
  await untilGone(pid, 10_000);
}

/** Meanwhile nothing is started again. */
export async function whileNothingRestarts(system: System, work: () => Promise<void>): Promise<void> {
  process.kill(system.pid, 'SIGSTOP');
  try {
    await work();
  } finally {
    process.kill(system.pid, 'SIGCONT');
  }
}

/** Every process answers that it is ready. */
export async function untilReady(system: System, timeoutMs = 60_000): Promise<void> {
  await eventually(
    async () => {
      const { processes } = await system.run();
      const answers = await Promise.all(
        processes.map(async ({ healthUrl }) => healthUrl === null || (await fetch(healthUrl, { signal: AbortSignal.timeout(3_000) })).ok),
      );
      return answers.every((ok) => ok);
    },
    { timeoutMs, intervalMs: 100, what: 'every process to be ready' },
  );
}

/** Names of the fault points that were met so far. */
export async function metPoints(system: System): Promise<string[]> {
  return (await readdir(join(system.dataDir, 'faults')).catch(() => [])).sort();
}

/** Fault points that were met can be met again. */
export async function rearm(system: System): Promise<void> {
  await rm(join(system.dataDir, 'faults'), { recursive: true, force: true });
}
