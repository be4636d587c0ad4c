import { readFile } from 'node:fs/promises';
import { startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareWithReplay, compile } from './compile.js';
import { compiledFile } from './compiled.js';
import { type MigrationFile, sha256, tenantMigrations } from './migration-files.js';

const file = (name: string, sql: string): MigrationFile => ({ name, sql, sha256: sha256(sql) });

describe('the compiled script', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  let client: pg.Client;
  let files: MigrationFile[];
  beforeAll(async () => {
    server = await startPostgres();
    client = new pg.Client({ connectionString: server.url });
    await client.connect();
    files = await tenantMigrations();
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  it('makes exactly what the migrations make one after the other', async () => {
    expect(await compareWithReplay(client, files, await readFile(compiledFile, 'utf8'))).toEqual([]);
  });

  it('is up to date with the migrations', async () => {
    expect(await readFile(compiledFile, 'utf8')).toBe(await compile(client, files));
  });

  it('folds changes of a table into its last state', async () => {
    const script = await compile(client, [
      file(
        'a/1.sql',
        "CREATE TABLE a_things (tenant_id uuid NOT NULL, id int, gone text, kind text DEFAULT 'x', PRIMARY KEY (tenant_id, id));",
      ),
      file('a/2.sql', 'ALTER TABLE a_things DROP COLUMN gone, ADD COLUMN amount numeric(10,2) CHECK (amount > 0);'),
      file('a/3.sql', 'CREATE UNIQUE INDEX a_kinds ON a_things (tenant_id, kind) WHERE amount IS NOT NULL;'),
    ]);
    expect(script).not.toContain('gone');
    expect(script).toContain('"amount" numeric(10,2)');
    expect(script).toContain('CREATE UNIQUE INDEX a_kinds ON a_things');
  });

  it.each([
    ['no tenant_id', 'CREATE TABLE a_x (id int PRIMARY KEY);', 'a_x: needs a column tenant_id'],
    ['no primary key', 'CREATE TABLE a_x (tenant_id uuid NOT NULL);', 'a_x: needs a primary key'],
    [
      'a key that does not start with the tenant',
      'CREATE TABLE a_x (tenant_id uuid, id int, PRIMARY KEY (id, tenant_id));',
      'a_x_pkey must start',
    ],
    [
      'an index that does not start with the tenant',
      'CREATE TABLE a_x (tenant_id uuid, id int, PRIMARY KEY (tenant_id, id)); CREATE INDEX a_i ON a_x (id);',
      'index a_i must start',
    ],
    ['a view', 'CREATE VIEW a_v AS SELECT 1 AS one;', 'view a_v'],
    ['a sequence', 'CREATE TABLE a_x (tenant_id uuid, id serial, PRIMARY KEY (tenant_id, id));', 'sequence a_x_id_seq'],
  ])('refuses %s by name', async (_what, sql, message) => {
    await expect(compile(client, [file('a/1.sql', sql)])).rejects.toThrow(message);
  });

  it('names the file that fails', async () => {
    await expect(compile(client, [file('a/1.sql', 'CREATE TABEL')])).rejects.toThrow('a/1.sql: syntax error');
  });

  it('sees what differs', async () => {
    const script = (await compile(client, files)).replace(/ALTER TABLE "checkpoints".*\n/, '');
    const lines = await compareWithReplay(client, files, script);
    expect(lines.some((line) => line.startsWith('missing: checkpoints') && line.includes('"forced":true'))).toBe(true);
  });
});
