import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stopChild } from '@tenantry/testing/process';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { expect, it } from 'vitest';
import { takeLock } from './lock.js';

it('one launcher per data folder; that of a killed one is taken over', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'launcher.lock');
  // Some process of another kind has been given the id since.
  await writeFile(file, `${process.ppid}\n`);
  const lock = await takeLock(file, folder.path);
  expect(Number(await readFile(file, 'utf8'))).toBe(process.pid);
  await lock.release();

  const launcher = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', 'deploy/dist/start.js'], { stdio: 'ignore' });
  try {
    await writeFile(file, `${launcher.pid}\n`);
    await expect(takeLock(file, folder.path)).rejects.toThrow(`in use by another launcher (process ${launcher.pid})`);
  } finally {
    await stopChild(launcher, 'SIGKILL');
  }
  await (await takeLock(file, folder.path)).release();
});
