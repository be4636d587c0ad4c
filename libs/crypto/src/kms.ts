import { createHash, randomBytes } from 'node:crypto';
import { link, open, readdir, readFile, unlink } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { openBytes, sealBytes } from './envelope.js';

/** Holds the master keys, which never leave it, and wraps other keys with them. */
export abstract class Kms {
  /** Name of the master key that wraps from now on. It says nothing about the key. */
  abstract readonly current: string;
  /** Names of all that it can unwrap with, the current one first. */
  abstract readonly known: readonly string[];
  /** By the current master key. `context` (such as the tenant's id and the key's version) is bound to the result: it unwraps only with the same. */
  abstract wrap(key: Buffer, context: string): Promise<Buffer>;
  /**
   * @param by name of the master key that wrapped it; null where nobody has written it down
   * @throws Error when the context is another one, or the master key is not there
   */
  abstract unwrap(wrapped: Buffer, context: string, by: string | null): Promise<Buffer>;
}

const KEY_BYTES = 32;

/** Master keys of 32 bytes (base64) in files that only their owner may read. */
export class LocalKms extends Kms {
  readonly current: string;
  readonly known: readonly string[];

  private constructor(private readonly masters: ReadonlyMap<string, Buffer>) {
    super();
    this.known = [...masters.keys()];
    this.current = this.known[0] as string;
  }

  /**
   * The file has the current key. Files beside it whose name has one part more (`kms.old.key` beside `kms.key`) have others: those only unwrap.
   * @throws Error when a file does not hold 32 bytes in base64, or others may read it
   */
  static async fromFile(path: string): Promise<LocalKms> {
    const extension = extname(path);
    const stem = `${basename(path, extension)}.`;
    const isOther = (name: string) => name.startsWith(stem) && name.endsWith(extension) && name.length > stem.length + extension.length;
    const others = (await readdir(dirname(path))).filter(isOther).sort();
    const keys = await Promise.all([path, ...others.map((name) => join(dirname(path), name))].map(readKey));
    return new LocalKms(new Map(keys.map((key) => [nameOf(key), key])));
  }

  /** The same; makes the file where there is none. Two processes that do so at once end up with the same key. */
  static async fromFileOrNew(path: string): Promise<LocalKms> {
    const exists = await readFile(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
    if (!exists) await createKeyFile(path);
    return LocalKms.fromFile(path);
  }

  override async wrap(key: Buffer, context: string): Promise<Buffer> {
    return sealBytes(this.masters.get(this.current) as Buffer, key, Buffer.from(context));
  }

  override async unwrap(wrapped: Buffer, context: string, by: string | null): Promise<Buffer> {
    const aad = Buffer.from(context);
    if (by !== null) {
      const master = this.masters.get(by);
      if (!master) throw new Error(`The master key ${by} is not there: put its file back beside the current one`);
      return openBytes(master, wrapped, aad);
    }
    let failure: unknown;
    for (const master of this.masters.values()) {
      try {
        return openBytes(master, wrapped, aad);
      } catch (error) {
        failure = error;
      }
    }
    throw new Error('No master key that is there has wrapped this key', { cause: failure });
  }
}

/** The key has 32 random bytes, so that its hash tells nobody anything. */
const nameOf = (key: Buffer): string => createHash('sha256').update('tenantry master key\0').update(key).digest('hex').slice(0, 16);

/**
 * Whether more than the one process may read it. A file of our own is for us alone. One that another user has put here is ours through its
 * group, which is this process's alone: so Kubernetes mounts a Secret (root's, of the pod's group, 0440).
 */
export const isExposed = ({ mode, uid }: { mode: number; uid: number }, self: number | undefined): boolean =>
  (mode & (uid === self ? 0o077 : 0o037)) !== 0;

async function readKey(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    if (isExposed(await file.stat(), process.getuid?.())) throw new Error(`The master key ${path} can be read by others: chmod 600 it`);
    const key = Buffer.from((await file.readFile('utf8')).trim(), 'base64');
    if (key.length !== KEY_BYTES) throw new Error(`The master key ${path} must hold ${KEY_BYTES} bytes in base64`);
    return key;
  } finally {
    await file.close();
  }
}

// Written whole beside its place, synced, then linked: a crash leaves no half key, and a second one never replaces the first.
async function createKeyFile(path: string): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(partial, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(partial, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(partial);
  }
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
