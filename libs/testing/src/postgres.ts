import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { access, chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.js';
import {
  type Account,
  isTraversable,
  ownFolder,
  type PostgresBinaries,
  postgresBinaries,
  serverAccount,
  sharedPlace,
} from './postgres-binaries.js';
import { initCluster, spawnServer, untilAnswers } from './postgres-server.js';
import { isAlive, signal, stopChild, untilGone, workingFolder } from './process.js';

const run = promisify(execFile);
const password = 'postgres';

export interface RunningPostgres extends AsyncDisposable {
  /** Of the superuser, database `postgres`. */
  url: string;
  /** Ends the server and removes its data; a second call does nothing. */
  stop(): Promise<void>;
}

/**
 * A real PostgreSQL 18 of one's own: an empty cluster on a free port of 127.0.0.1, with fsync on, as in production.
 * initdb runs once per machine; every server starts on a copy of that cluster. Ends with `stop()`;
 * what a killed test process left behind is ended and removed by the next call.
 */
export async function startPostgres(settings: Readonly<Record<string, string>> = {}): Promise<RunningPostgres> {
  const account = await serverAccount();
  const binaries = await postgresBinaries(account);
  const place = await testPlace();
  await removeLeftovers(join(place, 'runs'));
  const template = await templateCluster(place, binaries, account);
  const folder = join(place, 'runs', `${process.pid}-${Math.random().toString(36).slice(2, 10)}`);
  await ownFolder(folder, account);
  await run('cp', ['-Rp', join(template, 'data'), join(folder, 'data')], account ? { uid: account.uid, gid: account.gid, cwd: '/' } : {});

  const port = await freePort();
  const log = openSync(join(folder, 'server.log'), 'a');
  const child = spawnServer({ binaries, account, folder, port, settings, log });
  closeSync(log);
  const killOnExit = () => child.kill('SIGQUIT');
  process.once('exit', killOnExit);
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      process.off('exit', killOnExit);
      // Immediate: the data is thrown away, so there is nothing to flush.
      await stopChild(child, 'SIGQUIT');
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    })();
    return stopping;
  };
  let failed: string | undefined;
  child.once('error', (error) => {
    failed = `PostgreSQL could not be started: ${error.message}`;
  });
  child.once('exit', () => {
    failed ??= 'PostgreSQL ended while it was starting';
  });
  try {
    await untilAnswers(url, 60_000, () => failed);
  } catch (error) {
    const said = await readFile(join(folder, 'server.log'), 'utf8').catch(() => '');
    await stop();
    throw new Error(`${(error as Error).message}\n${said.slice(-2000)}`, { cause: error });
  }
  return { url, stop, [Symbol.asyncDispose]: stop };
}

/** `…/tenantry-testing-<uid>`, passable for the server's account. */
async function testPlace(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const temporary = join(tmpdir(), `tenantry-testing-${uid}`);
  const place = uid !== 0 || (await isTraversable(tmpdir())) ? temporary : join(await sharedPlace(), 'testing');
  for (const folder of [place, join(place, 'runs')]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  }
  return place;
}

async function templateCluster(place: string, binaries: PostgresBinaries, account: Account | undefined): Promise<string> {
  const print = createHash('sha256').update(`${binaries.version} ${account?.uid} 1`).digest('hex').slice(0, 8);
  const template = join(place, `cluster-${binaries.version}-${print}`);
  try {
    await access(template);
    return template;
  } catch {
    // Not made yet. Two may do so at once: the first rename wins.
    const partial = `${template}.${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
    await initCluster(partial, password, binaries, account, { sync: false });
    await rename(partial, template).catch(async (error: NodeJS.ErrnoException) => {
      await rm(partial, { recursive: true, force: true });
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return template;
  }
}

/** Folders are named by the process that they belong to; where that is gone, its server goes too. */
async function removeLeftovers(runs: string): Promise<void> {
  for (const name of await readdir(runs)) {
    if (await isAlive(Number.parseInt(name, 10))) continue;
    const folder = join(runs, name);
    const pid = Number.parseInt(await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8').catch(() => ''), 10);
    if (pid > 0 && (await workingFolder(pid)) === join(folder, 'data')) {
      signal(pid, 'SIGQUIT');
      await untilGone(pid, 5_000);
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
