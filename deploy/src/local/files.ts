import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Where things are in a data folder; the README of this package lists them. */
export interface DataFolder {
  path: string;
  runFile: string;
  /** The public keys of what the platform signs, for verifying offline. */
  publicKeysFile: string;
  lockFile: string;
  secretsFile: string;
  portsFile: string;
  keys: string;
  logs: string;
  pids: string;
  nats: string;
}

export function dataFolder(path: string): DataFolder {
  return {
    path,
    runFile: join(path, 'run.json'),
    publicKeysFile: join(path, 'jwks.json'),
    lockFile: join(path, 'launcher.lock'),
    secretsFile: join(path, 'secrets.json'),
    portsFile: join(path, 'ports.json'),
    keys: join(path, 'keys'),
    logs: join(path, 'logs'),
    pids: join(path, 'pids'),
    nats: join(path, 'nats'),
  };
}

export async function makeFolders(folder: DataFolder): Promise<void> {
  for (const path of [folder.path, folder.keys, folder.logs, folder.pids, folder.nats]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  }
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, also when the machine stops; readable by the owner alone. */
export async function writeWhole(path: string, text: string | Uint8Array): Promise<void> {
  const partial = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** What the file holds; made by `make` when it is not there. */
export async function keep(path: string, make: () => string | Promise<string>): Promise<string> {
  const kept = await readIfThere(path);
  if (kept !== undefined) return kept;
  const made = await make();
  await writeWhole(path, made);
  return made;
}
