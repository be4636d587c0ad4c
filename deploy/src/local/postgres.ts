import { chmod, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type Account,
  isTraversable,
  type PostgresBinaries,
  postgresBinaries,
  serverAccount,
  sharedPlace,
} from '@tenantry/testing/postgres-binaries';
import { initCluster, spawnServer, untilAnswers } from '@tenantry/testing/postgres-server';
import { signal, untilGone, workingFolder } from '@tenantry/testing/process';
import { type DataFolder, readIfThere, writeWhole } from './files.js';
import type { Program } from './supervisor.js';

/** Where a data folder's cluster is. It cannot always be inside: as root, the server's own account must reach it. */
interface Place {
  folder: string;
  /** Set once initdb is through: from then on a missing cluster is an error, not a reason to make an empty one. */
  initialized: boolean;
}

export interface EmbeddedPostgres {
  folder: string;
  program: Program;
  /** Superuser, for a database of the server. */
  url(database: string): string;
}

export async function embeddedPostgres(folder: DataFolder, instanceId: string, password: string, port: number): Promise<EmbeddedPostgres> {
  const account = await serverAccount();
  const binaries = await postgresBinaries(account);
  const place = await cluster(folder, instanceId, password, binaries, account);
  const url = (database: string) => `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const program: Program = {
    name: 'postgres',
    replica: 0,
    healthUrl: null,
    stopSignal: 'SIGINT',
    stopGraceMs: 8_000,
    spawn: async () => {
      await endLeftovers(place);
      return spawnServer({ binaries, account, folder: place, port, log: 'pipe', detached: true, settings: { cluster_name: 'tenantry' } });
    },
    ready: (failed) => untilAnswers(url('postgres'), 60_000, failed),
    // What clients do wrong is reported by the clients.
    forConsole: (line) => (/ (PANIC|LOG: .*(not properly shut down|could not write)):? /.test(line) ? line : undefined),
  };
  return { folder: place, program, url };
}

async function cluster(
  folder: DataFolder,
  instanceId: string,
  password: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
): Promise<string> {
  const note = join(folder.path, 'postgres.json');
  const remembered = JSON.parse((await readIfThere(note)) ?? 'null') as Place | null;
  const place = remembered ?? { folder: await choosePlace(folder, instanceId, account), initialized: false };
  // The server's account passes through the data folder to its cluster, but lists nothing.
  if (account && dirname(place.folder) === folder.path) await chmod(folder.path, 0o711);
  const present = await stat(join(place.folder, 'data', 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (place.initialized) {
    if (present) return place.folder;
    throw new Error(
      `The database of ${folder.path} should be in ${place.folder} and is not. Remedy: put it back, or start with a new TENANTRY_DATA_DIR`,
    );
  }
  if (remembered === null) await writeWhole(note, JSON.stringify(place));
  if (!present) {
    const partial = `${place.folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await initCluster(partial, password, binaries, account, { sync: true });
    // For whoever finds it outside of its data folder.
    if (dirname(place.folder) !== folder.path) await writeWhole(join(partial, 'data-folder'), `${folder.path}\n`);
    await rename(partial, place.folder);
  }
  await writeWhole(note, JSON.stringify({ ...place, initialized: true } satisfies Place));
  return place.folder;
}

async function choosePlace(folder: DataFolder, instanceId: string, account: Account | undefined): Promise<string> {
  if (account === undefined || (await isTraversable(dirname(folder.path)))) return join(folder.path, 'postgres');
  const shared = await sharedPlace();
  await removeAbandoned(shared);
  return join(shared, `cluster-${instanceId}`);
}

/** Clusters of data folders in a temporary folder that are gone: nobody can ask for them again. */
async function removeAbandoned(shared: string): Promise<void> {
  for (const name of await readdir(shared)) {
    if (!name.startsWith('cluster-')) continue;
    const owner = (await readIfThere(join(shared, name, 'data-folder')))?.trim();
    const temporary = owner !== undefined && [tmpdir(), '/tmp', '/var/tmp'].some((place) => owner.startsWith(`${place}/`));
    if (!temporary || (await stat(owner).catch(() => undefined))) continue;
    await endLeftovers(join(shared, name));
    await rm(join(shared, name), { recursive: true, force: true });
  }
}

/**
 * After a SIGKILL of the server: ends what is left of it, and removes its lock file when the process id in it has been given to another program
 * (PostgreSQL would believe that to be a server of its own and refuse to start).
 */
async function endLeftovers(place: string): Promise<void> {
  const data = join(place, 'data');
  const file = join(data, 'postmaster.pid');
  const text = await readIfThere(file);
  if (text === undefined) return;
  const pids = await serversIn(data);
  for (const pid of pids) signal(pid, 'SIGQUIT');
  for (const pid of pids) {
    if (await untilGone(pid, 5_000)) continue;
    signal(pid, 'SIGKILL');
    await untilGone(pid, 5_000);
  }
  // Without /proc nothing is known of other processes, and PostgreSQL decides by itself.
  if (process.platform === 'linux') await rm(file, { force: true });
}

/** Server and backends by their working folder, which PostgreSQL makes its data folder. */
async function serversIn(data: string): Promise<number[]> {
  const entries = await readdir('/proc').catch(() => [] as string[]);
  const pids = entries.filter((name) => /^\d+$/.test(name)).map(Number);
  const folders = await Promise.all(pids.map((pid) => workingFolder(pid)));
  return pids.filter((_, index) => folders[index] === data);
}
