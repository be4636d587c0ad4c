import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { temporaryFolder } from '@tenantry/testing/tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalStorage } from './local-storage.js';

const tenant = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const other = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78';

describe('LocalStorage', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let storage: LocalStorage;
  beforeEach(async () => {
    folder = await temporaryFolder();
    storage = new LocalStorage(folder.path);
    await storage.allocate(tenant);
  });
  afterEach(() => folder.remove());

  it('keeps files by tenant and key', async () => {
    expect(await storage.put(tenant, 'reports/2026/may.pdf', Buffer.from('one'))).toEqual({ bytes: 3 });
    expect(await storage.put(tenant, 'reports/2026/may.pdf', Readable.from([Buffer.from('tw'), Buffer.from('o!')]))).toEqual({ bytes: 4 });
    expect((await storage.get(tenant, 'reports/2026/may.pdf'))?.toString()).toBe('two!');
    await storage.allocate(tenant);
    await storage.allocate(other);
    expect(await storage.get(other, 'reports/2026/may.pdf')).toBeNull();
    await storage.delete(tenant, 'reports/2026/may.pdf');
    await storage.delete(tenant, 'reports/2026/may.pdf');
    expect(await storage.get(tenant, 'reports/2026/may.pdf')).toBeNull();
  });

  it.each([
    '',
    '..',
    '../x',
    'a/../../x',
    'a/./x',
    '/etc/passwd',
    'a//b',
    'a/',
    'a\\..\\x',
    'nul\0byte',
    'line\nbreak',
    '\ud800',
    'x'.repeat(256),
    `${'x/'.repeat(600)}x`,
  ])('refuses the key %j', async (key) => {
    const refusal = { code: 'request.invalid', errors: [expect.objectContaining({ field: 'key' })] };
    await expect(storage.put(tenant, key, Buffer.from('x'))).rejects.toMatchObject(refusal);
    await expect(storage.get(tenant, key)).rejects.toMatchObject(refusal);
    await expect(storage.delete(tenant, key)).rejects.toMatchObject(refusal);
  });

  it('refuses what is no tenant id', async () => {
    await expect(storage.allocate('../x')).rejects.toThrow('Not a tenant id');
    await expect(storage.release('..')).rejects.toThrow('Not a tenant id');
  });

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
    await storage.put(tenant, 'file', Buffer.from('mine'));
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
    await storage.release(tenant);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('leaves the old file, and nothing else, where writing fails half-way', async () => {
    await storage.put(tenant, 'a', Buffer.from('old'));
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('new');
        throw new Error('cut');
      })(),
    );
    await expect(storage.put(tenant, 'a', broken)).rejects.toThrow('cut');
    expect((await storage.get(tenant, 'a'))?.toString()).toBe('old');
    expect(await readdir(join(folder.path, 'uploads'))).toEqual([]);
  });

  it('takes nothing any more after the release', async () => {
    await storage.put(tenant, 'a/b', Buffer.from('x'));
    await storage.release(tenant);
    await storage.release(tenant);
    await expect(storage.put(tenant, 'a/b', Buffer.from('x'))).rejects.toThrow();
    expect(await storage.get(tenant, 'a/b')).toBeNull();
  });
});
