import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalKms } from './kms.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantry-kms-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the local KMS', () => {
  it('unwraps what it wrapped, with the same context and after a restart', async () => {
    const path = join(folder, 'master.key');
    const wrapped = await (await LocalKms.fromFileOrNew(path)).wrap(Buffer.from('key'), 't1/1');
    const kms = await LocalKms.fromFile(path);
    expect((await kms.unwrap(wrapped, 't1/1')).toString()).toBe('key');
    await expect(kms.unwrap(wrapped, 't2/1')).rejects.toThrow();
    const other = await LocalKms.fromFileOrNew(join(folder, 'other.key'));
    await expect(other.unwrap(wrapped, 't1/1')).rejects.toThrow();
  });

  it('makes one key, readable by its owner only, when several begin at once', async () => {
    const path = join(folder, 'master.key');
    const all = await Promise.all(Array.from({ length: 8 }, () => LocalKms.fromFileOrNew(path)));
    const wrapped = await (all[0] as LocalKms).wrap(Buffer.from('key'), 'c');
    for (const kms of all) expect((await kms.unwrap(wrapped, 'c')).toString()).toBe('key');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['master.key']);
  });

  it('refuses a key that others can read, or that is none', async () => {
    const path = join(folder, 'master.key');
    await writeFile(path, randomBytes(32).toString('base64'), { mode: 0o600 });
    await chmod(path, 0o644);
    await expect(LocalKms.fromFile(path)).rejects.toThrow('chmod 600');
    await writeFile(path, 'short');
    await chmod(path, 0o600);
    await expect(LocalKms.fromFile(path)).rejects.toThrow('32 bytes');
    await expect(LocalKms.fromFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
