import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isExposed, LocalKms } from './kms.js';

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
    expect((await kms.unwrap(wrapped, 't1/1', null)).toString()).toBe('key');
    await expect(kms.unwrap(wrapped, 't2/1', null)).rejects.toThrow();
    const other = await LocalKms.fromFileOrNew(join(folder, 'other.key'));
    await expect(other.unwrap(wrapped, 't1/1', null)).rejects.toThrow();
  });

  it('makes one key, readable by its owner only, when several begin at once', async () => {
    const path = join(folder, 'master.key');
    const all = await Promise.all(Array.from({ length: 8 }, () => LocalKms.fromFileOrNew(path)));
    const wrapped = await (all[0] as LocalKms).wrap(Buffer.from('key'), 'c');
    for (const kms of all) expect((await kms.unwrap(wrapped, 'c', null)).toString()).toBe('key');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['master.key']);
  });

  it('unwraps with the keys beside it, by their names, and wraps with its own', async () => {
    const path = join(folder, 'kms.key');
    const before = await LocalKms.fromFileOrNew(path);
    const wrapped = await before.wrap(Buffer.from('key'), 'c');
    await rename(path, join(folder, 'kms.2026.key'));
    await writeFile(join(folder, 'other.key'), 'is none of its business');
    const kms = await LocalKms.fromFileOrNew(path);
    expect(kms.known).toEqual([kms.current, before.current]);
    expect(kms.current).not.toBe(before.current);
    for (const by of [before.current, null]) expect((await kms.unwrap(wrapped, 'c', by)).toString()).toBe('key');
    await expect(kms.unwrap(wrapped, 'c', kms.current)).rejects.toThrow();
    const again = await kms.wrap(await kms.unwrap(wrapped, 'c', before.current), 'c');
    await unlink(join(folder, 'kms.2026.key'));
    const after = await LocalKms.fromFile(path);
    expect((await after.unwrap(again, 'c', kms.current)).toString()).toBe('key');
    await expect(after.unwrap(wrapped, 'c', before.current)).rejects.toThrow(before.current);
    await expect(after.unwrap(wrapped, 'c', null)).rejects.toThrow('No master key');
  });

  it('takes a file of its own for itself alone, and one that it was given as the pod’s group may read it', () => {
    const own = (mode: number) => isExposed({ mode, uid: 1_000 }, 1_000);
    const given = (mode: number) => isExposed({ mode, uid: 0 }, 1_000);
    expect([0o100600, 0o100400, 0o100440, 0o100640, 0o100604].map(own)).toEqual([false, false, true, true, true]);
    expect([0o100400, 0o100440, 0o100640, 0o100460, 0o100444, 0o100441].map(given)).toEqual([false, false, false, true, true, true]);
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
