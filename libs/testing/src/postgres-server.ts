import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { type Account, ownFolder, type PostgresBinaries } from './postgres-binaries.js';

const run = promisify(execFile);

/** Thousands of schemas need many locks: one transaction touches every table of a tenant. */
export const serverSettings: Readonly<Record<string, string>> = {
  max_connections: '400',
  max_locks_per_transaction: '512',
  fsync: 'on',
  synchronous_commit: 'on',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  password_encryption: 'scram-sha-256',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
};

// Nothing of ours (PGHOST, secrets in variables) reaches the server.
const cleanEnvironment = () => ({ PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' });
const as = (account: Account | undefined) => (account ? { uid: account.uid, gid: account.gid } : {});

/**
 * Makes an empty cluster `<folder>/data` with the superuser `postgres`. Collation is PostgreSQL's own, so that it is the same on every machine.
 * `sync`: it survives a power failure from here on. `folder` belongs to `account` afterwards.
 */
export async function initCluster(
  folder: string,
  password: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
  { sync }: { sync: boolean },
): Promise<void> {
  await ownFolder(folder, account);
  const passwordFile = join(folder, 'password');
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (account) await chown(passwordFile, account.uid, account.gid);
    const options = [
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      '--pwfile',
      passwordFile,
      '-E',
      'UTF8',
      '--locale',
      'C',
      ...(sync ? [] : ['-N']),
    ];
    await run(binaries.initdb, ['-D', join(folder, 'data'), ...options, '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'], {
      ...as(account),
      cwd: folder,
      env: cleanEnvironment(),
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
}

export interface ServerOptions {
  binaries: PostgresBinaries;
  account: Account | undefined;
  /** The folder that was given to `initCluster`. */
  folder: string;
  port: number;
  settings?: Readonly<Record<string, string>>;
  /** What becomes of what the server says: a file descriptor gets it, or the parent by a pipe. */
  log?: number | 'ignore' | 'pipe';
  /** In a process group of its own, so that Ctrl-C in a terminal reaches only its parent. */
  detached?: boolean;
}

/** Starts the server in the foreground as a child; `untilAnswers` says when it is ready. SIGINT ends it fast and cleanly. */
export function spawnServer({ binaries, account, folder, port, settings, log = 'ignore', detached = false }: ServerOptions): ChildProcess {
  const parameters = Object.entries({ ...serverSettings, ...settings, port: String(port) }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  return spawn(binaries.postgres, ['-D', join(folder, 'data'), ...parameters], {
    ...as(account),
    cwd: folder,
    env: cleanEnvironment(),
    stdio: ['ignore', log, log],
    detached,
  });
}

/** Waits until the server at `url` answers a query. @throws Error with the last reason after `timeoutMs`, or what `failed` answers as soon as it does */
export async function untilAnswers(url: string, timeoutMs = 60_000, failed: () => string | undefined = () => undefined): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined); // ended below, whatever happened to it
    try {
      await client.connect();
      await client.query('SELECT 1');
      return;
    } catch (error) {
      const reason = failed();
      if (reason !== undefined) throw new Error(reason, { cause: error });
      if (performance.now() > end)
        throw new Error(`PostgreSQL did not answer within ${timeoutMs} ms: ${(error as Error).message}`, { cause: error });
      await sleep(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
