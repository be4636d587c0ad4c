import { open, rm } from 'node:fs/promises';
import { isAlive } from '@tenantry/testing/process';
import { readIfThere } from './files.js';
import { isLauncher } from './process-identity.js';

export interface Lock {
  release(): Promise<void>;
}

/**
 * One launcher per data folder. The file holds the launcher's process id; that of a launcher that was killed is taken over.
 * @throws Error that names the other launcher
 */
export async function takeLock(file: string, dataDir: string): Promise<Lock> {
  for (let attempt = 0; ; attempt++) {
    try {
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(`${process.pid}\n`);
      await handle.close();
      return { release: () => rm(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = Number.parseInt((await readIfThere(file)) ?? '', 10);
      if (holder !== process.pid && (await isAlive(holder)) && (await isLauncher(holder))) {
        throw new Error(
          `${dataDir} is in use by another launcher (process ${holder}). Remedy: end it (kill ${holder}), or give this one a folder of its own (TENANTRY_DATA_DIR)`,
        );
      }
      if (attempt >= 3) throw new Error(`${file} cannot be taken over. Remedy: remove it`);
      await rm(file, { force: true });
    }
  }
}
