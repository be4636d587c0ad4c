import { randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openBytes, sealBytes } from './envelope.js';

/** Holds the master key, which never leaves it, and wraps other keys with it. */
export abstract class Kms {
  /** `context` (such as the tenant's id and the key's version) is bound to the result: it unwraps only with the same. */
  abstract wrap(key: Buffer, context: string): Promise<Buffer>;
  /** @throws Error when the context or the master key is another one */
  abstract unwrap(wrapped: Buffer, context: string): Promise<Buffer>;
}

const KEY_BYTES = 32;

/** A master key of 32 bytes (base64) in a file that only its owner may read. */
export class LocalKms extends Kms {
  private constructor(private readonly master: Buffer) {
    super();
  }

  /** @throws Error when the file does not hold 32 bytes in base64, or others may read it */
  static async fromFile(path: string): Promise<LocalKms> {
    const file = await open(path, 'r');
    try {
      const { mode } = await file.stat();
      if ((mode & 0o077) !== 0) throw new Error(`The master key ${path} can be read by others: chmod 600 it`);
      const key = Buffer.from((await file.readFile('utf8')).trim(), 'base64');
      if (key.length !== KEY_BYTES) throw new Error(`The master key ${path} must hold ${KEY_BYTES} bytes in base64`);
      return new LocalKms(key);
    } finally {
      await file.close();
    }
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
    return sealBytes(this.master, key, Buffer.from(context));
  }

  override async unwrap(wrapped: Buffer, context: string): Promise<Buffer> {
    return openBytes(this.master, wrapped, Buffer.from(context));
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
