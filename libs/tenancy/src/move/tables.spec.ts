import { describe, expect, it } from 'vitest';
import { inCircles, parentsFirst } from './tables.js';

const table = (name: string, ...parents: string[]) => ({ name, parents: parents.map((parent) => ({ name: parent, deferrable: false })) });
const names = (tables: { name: string }[]) => tables.map(({ name }) => name);

describe('the order of tables', () => {
  it('is that of their foreign keys, and else as given', () => {
    expect(
      names(parentsFirst([table('lines', 'orders', 'items'), table('b'), table('orders', 'people'), table('items'), table('people')])),
    ).toEqual(['b', 'items', 'people', 'orders', 'lines']);
  });
  it('exists for circles and tables that name themselves too', () => {
    expect(names(parentsFirst([table('a', 'b'), table('b', 'a'), table('c', 'c')]))).toEqual(['c', 'a', 'b']);
  });
  it('cannot satisfy circles of foreign keys that do not wait', () => {
    expect(inCircles([table('a', 'b'), table('b', 'a'), table('c', 'c'), table('d', 'a')])).toEqual(['a', 'b', 'c']);
    expect(inCircles([{ name: 'a', parents: [{ name: 'a', deferrable: true }] }])).toEqual([]);
  });
});
