import { type RunningPostgres, startPostgres } from '@tenantry/testing/postgres';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { attemptScript, outcomesOf } from './rows.js';

let server: RunningPostgres;
let client: pg.Client;
beforeAll(async () => {
  server = await startPostgres();
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`
    CREATE ROLE tenant;
    CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no such orders'; END $$;
    CREATE FUNCTION fails() RETURNS integer LANGUAGE sql AS 'SELECT 1 / 0';
    CREATE DOMAIN filled AS text NOT NULL;
    CREATE TABLE plain (tenant_id text);
    CREATE TABLE needs (tenant_id text, body text NOT NULL);
    CREATE TABLE triggered (tenant_id text);
    CREATE TRIGGER refuses BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION refuses();
    CREATE TABLE defaulted (tenant_id text, n integer DEFAULT fails());
    CREATE TABLE typed (tenant_id text, body filled);
    DO $$ DECLARE name text; BEGIN
      FOREACH name IN ARRAY ARRAY['plain', 'needs', 'triggered', 'defaulted', 'typed'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format($p$CREATE POLICY own ON %I USING (tenant_id = current_setting('app.tenant_id'))$p$, name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO tenant', name);
      END LOOP;
    END $$`);
}, 60_000);
afterAll(async () => {
  await client?.end();
  await server?.stop();
});

it('tells what row-level security refused from what the table’s own code refused before it, and changes nothing', async () => {
  const insert = (table: string, tenant: string) => ({ sql: `INSERT INTO ${table} (tenant_id) VALUES ('${tenant}')`, context: 'a' });
  const attempts = [
    insert('plain', 'b'),
    insert('plain', 'a'),
    insert('needs', 'b'),
    // It got past the boundary, and then a value was missing.
    insert('needs', 'a'),
    insert('triggered', 'b'),
    insert('defaulted', 'b'),
    insert('typed', 'b'),
  ];
  await client.query(`BEGIN; SET LOCAL ROLE tenant; ${attemptScript(attempts, 'a')}`);
  const { rows } = await client.query("SELECT current_setting('app.isolation_outcomes') AS outcomes");
  await client.query('COMMIT');
  expect(outcomesOf(rows[0].outcomes)).toEqual([
    { refused: '42501' },
    { rows: 1 },
    { refused: '42501' },
    { refused: '23502' },
    { refused: 'P0001', byOwnCode: true },
    { refused: '22012', byOwnCode: true },
    { refused: '23502', byOwnCode: true },
  ]);
  expect((await client.query('SELECT FROM plain')).rowCount).toBe(0);
});
