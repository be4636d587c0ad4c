import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import { boolean, integer, jsonb, numeric, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { foldChanges } from './fold.js';
import { add, patch, type RowChange, remove, upsert } from './projection.js';
import { runAll } from './sql.js';
import { emptying, statementsOf } from './write.js';

const things = pgTable(
  'things',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: text('id').notNull(),
    name: text('name').unique(),
    count: integer('item_count').notNull().default(7),
    price: numeric('price'),
    tags: text('tags').array(),
    detail: jsonb('detail'),
    on: boolean('is_on'),
    at: timestamp('at', { withTimezone: true, mode: 'date' }),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.id] })],
);
const tenantId = '11111111-1111-4111-8111-111111111111';
const key = (id: string) => ({ tenantId, id });
let postgres: RunningPostgres;
let client: pg.Client;

const write = (...changes: RowChange[]) => {
  const statements = statementsOf(foldChanges(changes));
  return runAll(client, statements).then(() => statements.length);
};
const read = async (columns: string) => (await client.query(`SELECT ${columns} FROM things ORDER BY id`)).rows;

beforeAll(async () => {
  postgres = await startPostgres();
  client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE TABLE things (tenant_id uuid, id text, name text UNIQUE, item_count int NOT NULL DEFAULT 7, price numeric,
    tags text[], detail jsonb, is_on boolean, at timestamptz, PRIMARY KEY (tenant_id, id))`);
}, 90_000);
beforeEach(async () => {
  await client.query('TRUNCATE things');
});
afterAll(async () => {
  await client?.end();
  await postgres?.stop();
});

describe('writing folded changes', () => {
  it('keeps values of every kind', async () => {
    const detail = { text: `'"\\ é`, list: [1, null, { deep: true }], string: 'x' };
    await write(
      upsert(things, {
        ...key('a'),
        name: `O'Neil "x" \\`,
        count: 1,
        price: '12345678901234567890.12',
        tags: ['a,b', '"', ''],
        detail,
        on: false,
        at: new Date(0),
      }),
      upsert(things, { ...key('b'), name: null, count: 2, price: null, tags: [], detail: 'only a string', on: true, at: null }),
    );
    expect(await read('name, item_count, price, tags, detail, is_on, at')).toEqual([
      {
        name: `O'Neil "x" \\`,
        item_count: 1,
        price: '12345678901234567890.12',
        tags: ['a,b', '"', ''],
        detail,
        is_on: false,
        at: new Date(0),
      },
      { name: null, item_count: 2, price: null, tags: [], detail: 'only a string', is_on: true, at: null },
    ]);
  });

  it('writes many rows with one statement', async () => {
    const rows = Array.from({ length: 500 }, (_, n) => upsert(things, { ...key(String(n)), name: `n${n}` }));
    expect(await write(...rows)).toBe(1);
    expect(await read('id')).toHaveLength(500);
  });

  it('replaces the whole row: what an upsert leaves out goes back to its default', async () => {
    await write(upsert(things, { ...key('a'), name: 'x', count: 1, on: true }));
    await write(upsert(things, { ...key('a'), name: 'y' }));
    expect(await read('name, item_count, is_on')).toEqual([{ name: 'y', item_count: 7, is_on: null }]);
  });

  it('changes with one statement what each patch names, and no more', async () => {
    await write(...['a', 'b', 'c', 'd'].map((id) => upsert(things, { ...key(id), name: id, count: 10 })));
    const statements = await write(
      patch(things, key('a'), { count: add(5) }),
      patch(things, key('b'), { count: 3, on: true }),
      patch(things, key('c'), { name: null }),
      patch(things, key('nobody'), { name: 'z' }),
    );
    expect(statements).toBe(1);
    expect(await read('id, name, item_count, is_on')).toEqual([
      { id: 'a', name: 'a', item_count: 15, is_on: null },
      { id: 'b', name: 'b', item_count: 3, is_on: true },
      { id: 'c', name: null, item_count: 10, is_on: null },
      { id: 'd', name: 'd', item_count: 10, is_on: null },
    ]);
  });

  it('lets a unique value go from a removed row to a new one', async () => {
    await write(upsert(things, { ...key('a'), name: 'wanted' }));
    await write(upsert(things, { ...key('b'), name: 'wanted' }), remove(things, key('a')));
    expect(await read('id, name')).toEqual([{ id: 'b', name: 'wanted' }]);
  });

  it("empties one tenant's rows only", async () => {
    const other = '22222222-2222-4222-8222-222222222222';
    await write(upsert(things, key('a')), upsert(things, { tenantId: other, id: 'b' }));
    await runAll(client, [emptying(things, tenantId) as NonNullable<ReturnType<typeof emptying>>]);
    expect(await read('id')).toEqual([{ id: 'b' }]);
  });
});
