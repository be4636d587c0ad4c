import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { eventually } from '@tenantry/testing/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Storage } from './storage.js';

const tenant = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b77';
const other = '6f1d3c52-7c0e-4c0a-9d5e-1f5a8f3c2b78';

/** What every place for files must do. `bigBytes`: more than it sends at once. */
export function storageConformance(
  name: string,
  open: () => Promise<{ storage: Storage; close(): Promise<void> }>,
  bigBytes: number,
): void {
  describe(`${name} as a storage`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    let storage: Storage;
    beforeAll(async () => {
      opened = await open();
      storage = opened.storage;
    }, 60_000);
    afterAll(() => opened?.close());
    beforeEach(async () => {
      await Promise.all([tenant, other].map((id) => storage.release(id)));
      await storage.allocate(tenant);
    });
    const listed = async (id: string) => {
      const found: Record<string, number> = {};
      for await (const { key, bytes } of storage.list(id)) found[key] = bytes;
      return found;
    };

    it('keeps files by tenant and key', async () => {
      expect(await storage.put(tenant, 'reports/2026/may.pdf', Buffer.from('one'))).toEqual({ bytes: 3 });
      expect(await storage.put(tenant, 'reports/2026/may.pdf', Readable.from([Buffer.from('tw'), Buffer.from('o!')]))).toEqual({
        bytes: 4,
      });
      expect((await storage.get(tenant, 'reports/2026/may.pdf'))?.toString()).toBe('two!');
      expect([await storage.size(tenant, 'reports/2026/may.pdf'), await storage.size(tenant, 'reports/2026')]).toEqual([4, null]);
      await storage.allocate(tenant);
      await storage.allocate(other);
      expect(await storage.get(other, 'reports/2026/may.pdf')).toBeNull();
      await storage.delete(tenant, 'reports/2026/may.pdf');
      await storage.delete(tenant, 'reports/2026/may.pdf');
      expect(await storage.get(tenant, 'reports/2026/may.pdf')).toBeNull();
      expect(await storage.read(tenant, 'reports/2026/may.pdf')).toBeNull();
    });

    it('keeps a big file as it came, and an empty one', async () => {
      const bytes = Buffer.alloc(bigBytes, 'abcdefg');
      const chunks = Array.from({ length: Math.ceil(bytes.length / 100_000) }, (_, n) => bytes.subarray(n * 100_000, (n + 1) * 100_000));
      expect(await storage.put(tenant, 'big', Readable.from(chunks))).toEqual({ bytes: bigBytes });
      expect((await buffer((await storage.read(tenant, 'big')) as Readable)).equals(bytes)).toBe(true);
      expect(await storage.put(tenant, 'empty', Readable.from([]))).toEqual({ bytes: 0 });
      expect((await storage.get(tenant, 'empty'))?.length).toBe(0);
    }, 60_000);

    it('lists the files of one tenant', async () => {
      await storage.allocate(other);
      await storage.put(other, 'foreign', Buffer.from('x'));
      const keys = ['a', 'b/c', 'b/d e/ü &<>"\'+%~.txt', '.hidden', 'b.c'];
      for (const key of keys) await storage.put(tenant, key, Buffer.from(key));
      expect(await listed(tenant)).toEqual(Object.fromEntries(keys.map((key) => [key, Buffer.byteLength(key)])));
      for (const key of keys) expect((await storage.get(tenant, key))?.toString()).toBe(key);
      await storage.release(tenant);
      expect(await listed(tenant)).toEqual({});
      expect(await listed(other)).toEqual({ foreign: 1 });
    });

    it('gives its files page by page, in the order of their keys', async () => {
      await storage.allocate(other);
      await storage.put(other, 'foreign', Buffer.from('x'));
      const keys = ['b/d/f', 'a', 'b/c', 'c', 'b/d/e', '.hidden', 'Z'];
      for (const key of keys) await storage.put(tenant, key, Buffer.from(key));
      const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const limit of [1, 2, 4, keys.length, 100]) {
        const seen: string[] = [];
        for (let more = true; more; ) {
          const page = await storage.page(tenant, seen.at(-1) ?? '', limit);
          expect(page.files.length).toBeLessThanOrEqual(limit);
          expect(page.files.every(({ key, bytes }) => bytes === Buffer.byteLength(key))).toBe(true);
          seen.push(...page.files.map(({ key }) => key));
          more = page.more;
        }
        expect(seen).toEqual(inOrder);
      }
      // After what is there no more, and what never was.
      await storage.delete(tenant, 'b/c');
      expect((await storage.page(tenant, 'b/c', 1)).files).toEqual([{ key: 'b/d/e', bytes: 5 }]);
      expect((await storage.page(tenant, 'b/zzz', 1)).files).toEqual([{ key: 'c', bytes: 1 }]);
      await storage.release(tenant);
      expect(await storage.page(tenant, '', 10)).toEqual({ files: [], more: false });
    });

    it.each([
      '',
      '..',
      '../x',
      `../${other}/x`,
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
      await expect(storage.read(tenant, key)).rejects.toMatchObject(refusal);
      await expect(storage.size(tenant, key)).rejects.toMatchObject(refusal);
      await expect(storage.part(tenant, key, 0, 1)).rejects.toMatchObject(refusal);
      await expect(storage.abandon(tenant, key)).rejects.toMatchObject(refusal);
      await expect(storage.delete(tenant, key)).rejects.toMatchObject(refusal);
    });

    it('refuses what is no tenant id', async () => {
      await expect(storage.allocate('../x')).rejects.toThrow('Not a tenant id');
      await expect(storage.release('..')).rejects.toThrow('Not a tenant id');
      await expect(storage.put('', 'x', Buffer.from('x'))).rejects.toThrow('Not a tenant id');
    });

    it('leaves the old file where writing fails half-way', async () => {
      await storage.put(tenant, 'a', Buffer.from('old'));
      const broken = Readable.from(
        (async function* () {
          yield Buffer.alloc(bigBytes);
          throw new Error('cut');
        })(),
      );
      await expect(storage.put(tenant, 'a', broken)).rejects.toThrow('cut');
      expect((await storage.get(tenant, 'a'))?.toString()).toBe('old');
      expect(await listed(tenant)).toEqual({ a: 3 });
    });

    it('gives parts of a file, and says which file they are of', async () => {
      await storage.put(tenant, 'a', Buffer.from('0123456789'));
      const part = async (offset: number, length: number) => (await storage.part(tenant, 'a', offset, length))?.content.toString();
      expect([await part(0, 4), await part(4, 100), await part(9, 1), await part(10, 5), await part(3, 0)]).toEqual([
        ...['0123', '456789', '9', '', ''],
      ]);
      const first = await storage.part(tenant, 'a', 0, 4);
      expect(first).toMatchObject({ bytes: 10, etag: expect.stringMatching(/^"[^"]+"$/) });
      expect((await storage.part(tenant, 'a', 8, 4))?.etag).toBe(first?.etag);
      expect((await storage.part(tenant, 'a', 0, 0))?.etag).toBe(first?.etag);
      await storage.put(tenant, 'a', Buffer.from('9876543210'));
      expect((await storage.part(tenant, 'a', 0, 4))?.etag).not.toBe(first?.etag);
      await storage.put(tenant, 'empty', Buffer.alloc(0));
      expect(await storage.part(tenant, 'empty', 0, 0)).toMatchObject({ bytes: 0, content: Buffer.alloc(0) });
      expect(await storage.part(tenant, 'none', 0, 4)).toBeNull();
    });

    it.each([3, bigBytes])('replaces nothing where what has come, %i bytes, is refused', async (bytes) => {
      await storage.put(tenant, 'a', Buffer.from('old'));
      const refused = storage.put(tenant, 'a', Readable.from([Buffer.alloc(bytes)]), async (come) => {
        expect(come).toBe(bytes);
        expect((await storage.get(tenant, 'a'))?.toString()).toBe('old');
        throw new Error('refused');
      });
      await expect(refused).rejects.toThrow('refused');
      expect((await storage.get(tenant, 'a'))?.toString()).toBe('old');
      expect(await storage.unfinished(tenant)).toBe(0);
    });

    it('knows of writes that never ended, and removes them by file or with the tenant', async () => {
      const never = new Set<(end: Error) => void>();
      const ended: Promise<unknown>[] = [];
      const begin = async (key: string) => {
        const before = await storage.unfinished(tenant);
        const content = async function* () {
          yield Buffer.alloc(bigBytes);
          await new Promise((_resolve, reject) => never.add(reject));
        };
        ended.push(storage.put(tenant, key, Readable.from(content())).catch((error: Error) => error.message));
        await eventually(async () => (await storage.unfinished(tenant)) === before + 1 && never.size === ended.length);
      };
      await begin('a');
      await begin('b/a');
      await storage.abandon(tenant, 'c');
      expect(await storage.unfinished(tenant)).toBe(2);
      await storage.abandon(tenant, 'a');
      await storage.abandon(tenant, 'a');
      expect(await storage.unfinished(tenant)).toBe(1);
      await storage.release(tenant);
      expect(await storage.unfinished(tenant)).toBe(0);
      for (const end of never) end(new Error('cut'));
      expect(await Promise.all(ended)).toEqual(['cut', 'cut']);
    });

    it('takes nothing any more after the release', async () => {
      await storage.put(tenant, 'a/b', Buffer.from('x'));
      await storage.release(tenant);
      await storage.release(tenant);
      await expect(storage.put(tenant, 'a/b', Buffer.from('x'))).rejects.toThrow();
      expect(await storage.get(tenant, 'a/b')).toBeNull();
      expect(await listed(tenant)).toEqual({});
    });
  });
}
