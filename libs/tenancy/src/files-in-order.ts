import type { Dirent } from 'node:fs';

/** As object stores order keys. */
const before = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
/** Names of one folder that are in memory at once. */
const BATCH = 1_000;

/** What stands for an entry in the order of keys: of a folder, what all keys below it begin with. */
const placeOf = (entry: Dirent): string | null => (entry.isDirectory() ? `${entry.name}/` : entry.isFile() ? entry.name : null);

/**
 * Keys of files after `after` in the order of their UTF-8 bytes, folder by folder: those that lie wholly before are not looked into, and of
 * a folder with many names the smallest are kept, then the next. Symbolic links are left out.
 * @param entriesOf what a folder holds (empty: the topmost), in any order; nothing where it is gone
 */
export async function* filesInOrder(
  entriesOf: (folder: string) => Promise<AsyncIterable<Dirent>>,
  after: string,
  folder = '',
  batch = BATCH,
): AsyncGenerator<string, void> {
  let done = '';
  for (;;) {
    const { places, more } = await smallest(await entriesOf(folder), after, done, batch);
    for (const place of places) {
      if (!place.endsWith('/')) yield folder + place;
      else yield* filesInOrder(entriesOf, after.startsWith(place) ? after.slice(place.length) : '', folder + place, batch);
    }
    if (!more) return;
    done = places.at(-1) as string;
  }
}

async function smallest(
  entries: AsyncIterable<Dirent>,
  after: string,
  done: string,
  count: number,
): Promise<{ places: string[]; more: boolean }> {
  let places: string[] = [];
  let more = false;
  const cut = () => {
    places.sort(before);
    more ||= places.length > count;
    places = places.slice(0, count);
  };
  for await (const entry of entries) {
    const place = placeOf(entry);
    if (place === null || before(place, done) <= 0) continue;
    // A folder that `after` is below begins before it, and has keys behind it.
    if (before(place, after) <= 0 && !(place.endsWith('/') && after.startsWith(place))) continue;
    places.push(place);
    if (places.length >= 2 * count) cut();
  }
  cut();
  return { places, more };
}
