import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { commandLine, isAlive } from '@tenantry/testing/process';

const run = promisify(execFile);

/**
 * Whether process `pid` is alive and its command line holds `mark`. Ids are given again after a process has ended,
 * so an id from a file proves nothing by itself. `mark` is the data folder's path: every process that the launcher starts names it.
 */
export async function isOurs(pid: number, mark: string): Promise<boolean> {
  if (!(pid > 0) || !(await isAlive(pid))) return false;
  const words = await commandLine(pid);
  if (words !== undefined) return words.some((word) => word.includes(mark));
  // No /proc (macOS).
  return run('ps', ['-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout.includes(mark),
    () => false,
  );
}

/** Whether `pid` is a launcher: a Node process of `run.mjs` or `start.js`. */
export async function isLauncher(pid: number): Promise<boolean> {
  return (await isOurs(pid, 'run.mjs')) || (await isOurs(pid, 'start.js'));
}
