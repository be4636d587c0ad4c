import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalStorage } from './local-storage.js';
import { storageConformance } from './storage-conformance.js';

storageConformance(
  'a local folder',
  async () => {
    const folder = await temporaryFolder();
    return { storage: new LocalStorage(folder.path), close: () => folder.remove() };
  },
  300_000,
);

describe('a local folder', () => {
  const tenant = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let storage: LocalStorage;
  beforeEach(async () => {
    folder = await temporaryFolder();
    storage = new LocalStorage(folder.path);
    await storage.allocate(tenant);
  });
  afterEach(() => folder.remove());

  it('follows no symbolic link', async () => {
    const outside = join(folder.path, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
    const prefix = join(folder.path, 'tenants', tenant);
    await symlink(outside, join(prefix, 'link'));
    await symlink(join(outside, 'secret'), join(prefix, 'file'));
    await expect(storage.get(tenant, 'link/secret')).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(storage.put(tenant, 'link/secret', Buffer.from('x'))).rejects.toMatchObject({ code: 'request.invalid' });
    await expect(storage.get(tenant, 'file')).rejects.toThrow();
    for await (const { key } of storage.list(tenant)) expect.unreachable(`${key} was listed`);
    await storage.put(tenant, 'file', Buffer.from('mine'));
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
    await storage.release(tenant);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('keeps nothing of an upload that failed', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('new');
        throw new Error('cut');
      })(),
    );
    await expect(storage.put(tenant, 'a', broken)).rejects.toThrow('cut');
    expect(await readdir(join(folder.path, 'uploads', tenant))).toEqual([]);
  });
});
