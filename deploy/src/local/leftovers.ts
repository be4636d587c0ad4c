import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { signal, untilGone } from '@tenantry/testing/process';
import { type DataFolder, readIfThere } from './files.js';
import { isOurs } from './process-identity.js';

/** Ends what a killed launcher of this data folder left running: services first, then the broker, then the database. */
export async function endLeftovers(folder: DataFolder, say: (text: string) => void): Promise<void> {
  const place = JSON.parse((await readIfThere(join(folder.path, 'postgres.json'))) ?? 'null') as { folder: string } | null;
  const left: { name: string; pid: number }[] = [];
  for (const file of await readdir(folder.pids)) {
    const pid = Number.parseInt((await readIfThere(join(folder.pids, file))) ?? '', 10);
    const name = file.replace(/\.pid$/, '');
    const mark = name === 'postgres' ? place?.folder : folder.path;
    if (mark !== undefined && (await isOurs(pid, mark))) left.push({ name, pid });
    else await rm(join(folder.pids, file), { force: true });
  }
  const infrastructure = ['nats', 'postgres'];
  for (const group of [
    left.filter(({ name }) => !infrastructure.includes(name)),
    ...infrastructure.map((name) => left.filter((one) => one.name === name)),
  ]) {
    await Promise.all(
      group.map(async ({ name, pid }) => {
        say(`${name} (process ${pid}) is left from a launcher that was killed; ending it`);
        signal(pid, name === 'postgres' ? 'SIGINT' : 'SIGTERM');
        if (!(await untilGone(pid, 8_000))) {
          signal(pid, 'SIGKILL');
          await untilGone(pid, 2_000);
        }
        await rm(join(folder.pids, `${name}.pid`), { force: true });
      }),
    );
  }
}
