import type { Dirent } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { filesInOrder } from './files-in-order.js';

/** A tree of folders that holds these files, and counts how often each folder was read. */
function tree(keys: readonly string[]) {
  const folders = new Map<string, Map<string, 'file' | 'folder'>>([['', new Map()]]);
  for (const key of keys) {
    const names = key.split('/');
    for (let depth = 0; depth < names.length; depth++) {
      const folder = names
        .slice(0, depth)
        .map((name) => `${name}/`)
        .join('');
      const of = folders.get(folder) ?? new Map<string, 'file' | 'folder'>();
      of.set(names[depth] as string, depth === names.length - 1 ? 'file' : 'folder');
      folders.set(folder, of);
    }
  }
  const reads = new Map<string, number>();
  const entriesOf = async (folder: string) => {
    reads.set(folder, (reads.get(folder) ?? 0) + 1);
    return (async function* () {
      for (const [name, kind] of folders.get(folder) ?? [])
        yield { name, isFile: () => kind === 'file', isDirectory: () => kind === 'folder' } as Dirent;
    })();
  };
  return { entriesOf, reads };
}
const inOrder = (keys: readonly string[]) => keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const all = async (keys: AsyncIterable<string>) => {
  const found: string[] = [];
  for await (const key of keys) found.push(key);
  return found;
};

it('comes by every key once, in their order, from anywhere, however few names are kept at once', async () => {
  const name = fc.stringMatching(/^[ab.0Z]{1,2}$/);
  const key = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 12 }),
      fc.option(key),
      fc.integer({ min: 1, max: 4 }),
      async (given, after, batch) => {
        // A name is a file or a folder.
        const keys = given.filter((one) => !given.some((other) => other.startsWith(`${one}/`)));
        const found = await all(filesInOrder(tree(keys).entriesOf, after ?? '', '', batch));
        expect(found).toEqual(inOrder(keys).filter((one) => Buffer.compare(Buffer.from(one), Buffer.from(after ?? '')) > 0));
      },
    ),
  );
});

it('does not look into folders that lie wholly before', async () => {
  const { entriesOf, reads } = tree(['a/1', 'a/2', 'b/1', 'b/2', 'c/1']);
  expect(await all(filesInOrder(entriesOf, 'b/1'))).toEqual(['b/2', 'c/1']);
  expect([...reads.keys()]).toEqual(['', 'b/', 'c/']);
});
