import { createHash, randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { invalidField } from '@tenantry/contracts/errors';
import { filesInOrder } from './files-in-order.js';
import { isUuid } from './sql.js';
import { type FilePage, type FilePart, Storage } from './storage.js';
import { segmentsOf } from './storage-key.js';

/** Nothing is there, or something else is where a folder on the way would be. */
const isMissing = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/**
 * Files of tenants in a local folder: `<root>/tenants/<tenant id>/<key>`. What is being written is in `<root>/uploads/<tenant id>`, by a
 * hash of its key. Symbolic links are never followed.
 */
export class LocalStorage extends Storage {
  readonly #root: string;
  /** @param root made where it does not exist */
  constructor(root: string) {
    super();
    this.#root = resolve(root);
  }

  override async allocate(tenantId: string): Promise<void> {
    await mkdir(this.#prefix(tenantId), { recursive: true, mode: 0o700 });
  }

  /** Written beside, synced, then renamed. @throws Error where the prefix was not allocated */
  override async put(
    tenantId: string,
    key: string,
    content: Buffer | Readable,
    ready?: (bytes: number) => Promise<void>,
  ): Promise<{ bytes: number }> {
    const segments = segmentsOf(key);
    const prefix = this.#prefix(tenantId);
    await this.#folder(prefix, [], false);
    const uploads = this.#uploads(tenantId);
    await mkdir(uploads, { recursive: true, mode: 0o700 });
    const partial = join(uploads, `${hashOf(key)}.${randomUUID()}`);
    try {
      const bytes = await write(partial, content);
      await ready?.(bytes);
      const folder = await this.#folder(prefix, segments.slice(0, -1), true);
      await rename(partial, join(folder, segments.at(-1)!));
      return { bytes };
    } finally {
      await rm(partial, { force: true });
    }
  }

  override async abandon(tenantId: string, key: string): Promise<void> {
    segmentsOf(key);
    const uploads = this.#uploads(tenantId);
    const left = (await namesIn(uploads)).filter((name) => name.startsWith(`${hashOf(key)}.`));
    await Promise.all(left.map((name) => rm(join(uploads, name), { force: true })));
  }

  override async unfinished(tenantId: string): Promise<number> {
    return (await namesIn(this.#uploads(tenantId))).length;
  }

  override async get(tenantId: string, key: string): Promise<Buffer | null> {
    const file = await this.#open(tenantId, key);
    try {
      return (await file?.readFile()) ?? null;
    } finally {
      await file?.close();
    }
  }

  override async read(tenantId: string, key: string): Promise<Readable | null> {
    return (await this.#open(tenantId, key))?.createReadStream() ?? null;
  }

  override async part(tenantId: string, key: string, offset: number, length: number): Promise<FilePart | null> {
    const file = await this.#open(tenantId, key);
    if (!file) return null;
    try {
      const { size, mtimeNs } = await file.stat({ bigint: true });
      const bytes = Number(size);
      const content = Buffer.alloc(Math.max(0, Math.min(length, bytes - offset)));
      for (let at = 0; at < content.length; ) {
        const { bytesRead } = await file.read(content, at, content.length - at, offset + at);
        if (bytesRead === 0) throw new Error('A file has become shorter while it was read');
        at += bytesRead;
      }
      return { bytes, etag: `"${mtimeNs.toString(36)}-${size.toString(36)}"`, content };
    } finally {
      await file.close();
    }
  }

  override async size(tenantId: string, key: string): Promise<number | null> {
    const file = await this.#open(tenantId, key);
    try {
      return file && (await file.stat()).size;
    } finally {
      await file?.close();
    }
  }

  override async *list(tenantId: string): AsyncIterable<{ key: string; bytes: number }> {
    const prefix = this.#prefix(tenantId);
    const folders = [''];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for await (const entry of await entriesOf(join(prefix, folder))) {
        const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory()) folders.push(key);
        const bytes = entry.isFile() ? await sizeOf(join(prefix, key)) : null;
        if (bytes !== null) yield { key, bytes };
      }
    }
  }

  override async page(tenantId: string, after: string, limit: number): Promise<FilePage> {
    const prefix = this.#prefix(tenantId);
    const files: FilePage['files'] = [];
    for await (const key of filesInOrder((folder) => entriesOf(join(prefix, folder)), after)) {
      if (files.length === limit) return { files, more: true };
      const bytes = await sizeOf(join(prefix, key));
      if (bytes !== null) files.push({ key, bytes });
    }
    return { files, more: false };
  }

  /** A file that is not there is no error. */
  override async delete(tenantId: string, key: string): Promise<void> {
    const segments = segmentsOf(key);
    try {
      const folder = await this.#folder(this.#prefix(tenantId), segments.slice(0, -1), false);
      const path = join(folder, segments.at(-1)!);
      // A folder is no file, and goes with the prefix only.
      if (!(await lstat(path)).isDirectory()) await rm(path, { force: true });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  override async release(tenantId: string): Promise<void> {
    // The prefix first: what is still being written then finds no place any more.
    for (const folder of [this.#prefix(tenantId), this.#uploads(tenantId)])
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
  }

  #prefix(tenantId: string): string {
    if (!isUuid(tenantId)) throw new Error('Not a tenant id');
    return join(this.#root, 'tenants', tenantId);
  }
  #uploads(tenantId: string): string {
    if (!isUuid(tenantId)) throw new Error('Not a tenant id');
    return join(this.#root, 'uploads', tenantId);
  }

  /** Null where there is no such file. */
  async #open(tenantId: string, key: string): Promise<FileHandle | null> {
    const segments = segmentsOf(key);
    try {
      const folder = await this.#folder(this.#prefix(tenantId), segments.slice(0, -1), false);
      const file = await open(join(folder, segments.at(-1)!), constants.O_RDONLY | constants.O_NOFOLLOW);
      if ((await file.stat()).isFile()) return file;
      await file.close();
      return null;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  /** Goes down folder by folder, so that no link on the way leads out. */
  async #folder(prefix: string, segments: readonly string[], make: boolean): Promise<string> {
    let path = prefix;
    for (const segment of ['', ...segments]) {
      path = join(path, segment);
      // The prefix itself is made by `allocate` alone: after `release` a late `put` must not bring it back.
      if (make && segment !== '')
        await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error;
        });
      const found = await lstat(path);
      if (!found.isDirectory()) throw invalidField('key', 'path', 'A part of the key names something that is no folder');
    }
    return path;
  }
}

/** Of any length a key may have, a name that a file can have. */
const hashOf = (key: string): string => createHash('sha256').update(key).digest('hex');

/** Folders and files may be deleted while they are listed. */
const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(missingAs([]));
const entriesOf = (folder: string): Promise<AsyncIterable<Dirent>> => opendir(folder).catch(missingAs(nothing()));
const sizeOf = (path: string): Promise<number | null> => lstat(path).then(({ size }) => size, missingAs(null));
const missingAs =
  <T>(instead: T) =>
  (error: unknown): T => {
    if (isMissing(error)) return instead;
    throw error;
  };
async function* nothing(): AsyncIterable<never> {}

async function write(path: string, content: Buffer | Readable): Promise<number> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  let bytes = 0;
  try {
    for await (const chunk of Buffer.isBuffer(content) ? [content] : content) {
      const part = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array | string);
      await file.writeFile(part);
      bytes += part.byteLength;
    }
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}
