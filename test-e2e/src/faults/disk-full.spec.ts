import { execFile } from 'node:child_process';
import { chmod, mkdir, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '@tenantry/testing/ports';
import { isTraversable, postgresBinaries, serverAccount, sharedPlace } from '@tenantry/testing/postgres-binaries';
import { initCluster, spawnServer, untilAnswers } from '@tenantry/testing/postgres-server';
import { ended, stopChild } from '@tenantry/testing/process';
import { expect, it } from 'vitest';
import { type System, startSystem } from '../harness/system.js';
import { trial } from './trial.js';

const run = promisify(execFile);
const sizeMb = 700;

/** A small file system of its own; undefined where this account may not mount one. */
async function smallDisk(): Promise<string | undefined> {
  const place = (await isTraversable(tmpdir())) ? tmpdir() : await sharedPlace();
  const folder = join(place, `tenantry-disk-${process.pid}`);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m,mode=0755`, 'tmpfs', folder]);
    return folder;
  } catch (error) {
    await rm(folder, { recursive: true });
    console.log(`disk-full is skipped: no small file system can be mounted here (${(error as Error).message.trim()})`);
    return undefined;
  }
}

/** A server there that is started again whenever it ends, as a supervisor would. */
async function serverOn(disk: string): Promise<{ url: string; stop(): Promise<void>; starts(): number }> {
  const account = await serverAccount();
  const binaries = await postgresBinaries(account);
  const folder = join(disk, 'postgres');
  await mkdir(folder);
  await chmod(disk, 0o755);
  await initCluster(folder, 'postgres', binaries, account, { sync: false });
  const port = await freePort();
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
  // Little is kept for later, so that what is full is full.
  const settings = { max_wal_size: '64MB', min_wal_size: '32MB', wal_keep_size: '0' };
  let stopping = false;
  let starts = 0;
  const start = () => {
    starts += 1;
    return spawnServer({ binaries, account, folder, port, settings });
  };
  let child = start();
  const supervised = (async () => {
    while (!stopping) {
      await ended(child);
      if (stopping) return;
      await sleep(500);
      child = start();
    }
  })();
  await untilAnswers(url);
  return {
    url,
    starts: () => starts,
    stop: async () => {
      stopping = true;
      await stopChild(child, 'SIGINT');
      await supervised;
    },
  };
}

const ballast = (disk: string) => join(disk, 'ballast');

/** Takes all the room there is, and goes on taking what becomes free, until it is told to stop. */
function fill(disk: string): { stop(): Promise<void> } {
  let filling = true;
  const done = (async () => {
    const file = await open(ballast(disk), 'a');
    const block = Buffer.alloc(64 * 1024);
    try {
      while (filling) {
        const { bavail, bsize } = await statfs(disk);
        if (bavail * bsize < block.length) await sleep(20);
        else await file.write(block).catch(() => undefined); // full: that is what is wanted
      }
    } finally {
      await file.close();
    }
  })();
  return {
    stop: async () => {
      filling = false;
      await done;
      await rm(ballast(disk));
    },
  };
}

it('PostgreSQL’s disk is full: commands are refused clearly, nothing acknowledged is lost, and it goes on when there is room', async (context) => {
  const disk = await smallDisk();
  if (disk === undefined) return context.skip('no small file system can be mounted');
  try {
    const server = await serverOn(disk);
    const start = async (env: Record<string, string>): Promise<System> => {
      const system = await startSystem({ ...env, TENANTRY_POSTGRES_URL: server.url });
      return {
        ...system,
        stop: async () => {
          const code = await system.stop();
          await server.stop();
          return code;
        },
      };
    };
    // No isolated tenant: a database alone takes 8 MB.
    await trial('disk-full', { start, load: { commandsPerLane: 80, creations: 0 } }, async ({ workload, random, note }) => {
      for (let n = 0; n < 2; n++) {
        await workload.after(random.int(100, 200));
        const full = fill(disk);
        const refusedBefore = [...workload.refusals.values()].reduce((sum, count) => sum + count, 0);
        await sleep(8_000);
        await full.stop();
        const refused = [...workload.refusals.values()].reduce((sum, count) => sum + count, 0) - refusedBefore;
        note(`full for 8 s: ${refused} refusals`);
        expect(refused).toBeGreaterThan(0);
      }
      note(`${server.starts() - 1} new starts of the server`);
    });
  } finally {
    await run('umount', ['-l', disk]);
    await rm(disk, { recursive: true, force: true });
  }
});
