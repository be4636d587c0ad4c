import { integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldChanges, isAdd, type Values } from './fold.js';
import { add, patch, type RowChange, remove, upsert } from './projection.js';

const things = pgTable(
  'things',
  { tenantId: uuid('tenant_id').notNull(), id: text('id').notNull(), name: text('name'), count: integer('count').notNull().default(0) },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);
const tenantId = '11111111-1111-4111-8111-111111111111';
const key = (id: string) => ({ tenantId, id });
const folded = (...changes: RowChange[]) => foldChanges(changes).get(things);

describe('folding row changes', () => {
  it('merges patches of one row and sums up their additions', () => {
    expect(
      folded(
        patch(things, key('a'), { count: add(2) }),
        patch(things, key('a'), { name: 'x' }),
        patch(things, key('a'), { count: add(3) }),
      ),
    ).toEqual({ upserts: [], removes: [], patches: [{ key: key('a'), values: { name: 'x', count: { add: 5 } } }] });
  });

  it('adds to a value that was set before in the batch', () => {
    expect(folded(patch(things, key('a'), { count: 10 }), patch(things, key('a'), { count: add(-3) }))?.patches[0]?.values).toEqual({
      count: 7,
    });
  });

  it('puts a patch after an upsert into the row, from the default where the row leaves the column out', () => {
    expect(folded(upsert(things, { id: 'a', tenantId, name: 'x' }), patch(things, key('a'), { name: 'y', count: add(1) }))).toEqual({
      upserts: [{ tenantId, id: 'a', name: 'y', count: 1 }],
      patches: [],
      removes: [],
    });
  });

  it('keeps nothing but the remove of a row that goes', () => {
    expect(folded(upsert(things, { ...key('a'), name: 'x' }), patch(things, key('a'), { name: 'y' }), remove(things, key('a')))).toEqual({
      upserts: [],
      patches: [],
      removes: [key('a')],
    });
  });

  it('does nothing to a row that is gone', () => {
    expect(folded(remove(things, key('a')), patch(things, key('a'), { name: 'y' }))?.patches).toEqual([]);
  });

  it('refuses a change without the whole key', () => {
    expect(() => folded(patch(things, { id: 'a' }, { name: 'y' }))).toThrow('tenantId');
  });

  it('comes to the same as applying the changes one by one', () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const value = fc.integer({ min: -5, max: 5 });
    const name = fc.option(fc.constantFrom('x', 'y'), { nil: undefined });
    const change: fc.Arbitrary<RowChange> = fc.oneof(
      fc.tuple(id, name, value).map(([i, n, count]) => upsert(things, { ...key(i), name: n ?? null, count })),
      fc.tuple(id, name, value).map(([i, n, count]) => patch(things, key(i), { name: n, count })),
      fc.tuple(id, name, value).map(([i, n, by]) => patch(things, key(i), { name: n, count: add(by) })),
      id.map((i) => remove(things, key(i))),
    );
    const present = fc.uniqueArray(fc.record({ id, count: value }), { selector: (row) => row.id });
    fc.assert(
      fc.property(present, fc.array(change, { maxLength: 25 }), (rows, changes) => {
        const start = () => new Map<string, Values>(rows.map((row) => [row.id, { ...key(row.id), name: null, count: row.count }]));
        const oneByOne = start();
        for (const each of changes) applyTo(oneByOne, each);
        const atOnce = start();
        const sets = folded(...changes);
        for (const gone of sets?.removes ?? []) applyTo(atOnce, { op: 'remove', table: things, key: gone });
        for (const each of sets?.patches ?? []) applyTo(atOnce, { op: 'patch', table: things, ...each });
        for (const row of sets?.upserts ?? []) applyTo(atOnce, { op: 'upsert', table: things, row });
        expect(new Map([...atOnce].sort())).toEqual(new Map([...oneByOne].sort()));
      }),
    );
  });
});

function applyTo(rows: Map<string, Values>, change: RowChange): void {
  if (change.op === 'upsert') rows.set(change.row['id'] as string, { ...change.row });
  else if (change.op === 'remove') rows.delete(change.key['id'] as string);
  else {
    const row = rows.get(change.key['id'] as string);
    if (!row) return;
    for (const [property, value] of Object.entries(change.values)) {
      if (value === undefined) continue;
      row[property] = isAdd(value) ? (row[property] as number) + value.add : value;
    }
  }
}
