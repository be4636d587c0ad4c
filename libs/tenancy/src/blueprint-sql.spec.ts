import { describe, expect, it } from 'vitest';
import { examine } from './blueprint-sql.js';

const rulesOf = async (sql: string) => (await examine(sql)).refusals.map(({ rule }) => rule);

describe('what a blueprint may do', () => {
  it.each([
    'CREATE TABLE a (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(), n int GENERATED ALWAYS AS IDENTITY)',
    'ALTER TABLE a ADD COLUMN note text NOT NULL DEFAULT \'{"a":"b"}\', ADD CONSTRAINT long CHECK (length(note) < 9)',
    "ALTER TABLE a RENAME COLUMN note TO remark; ALTER TYPE mood RENAME TO moods; COMMENT ON COLUMN a.remark IS 'x'",
    'CREATE UNIQUE INDEX by_note ON a (note) WHERE note IS NOT NULL',
    'INSERT INTO a (note) VALUES ($$x; y$$); UPDATE a SET note = upper(note); DELETE FROM a; TRUNCATE a',
    "SELECT setval(pg_get_serial_sequence('a', 'n'), coalesce(max(n), 1)) FROM a",
    "SELECT setval('a_n_seq', 10), EXTRACT(year FROM now()), a.* FROM a",
    "CREATE VIEW v AS SELECT count(*) FROM a; CREATE SEQUENCE s; CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN d AS text",
    'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE x int := 1; BEGIN NEW.note := lower(NEW.note); IF x > 0 THEN PERFORM now(); END IF; RETURN NEW; END $$',
    'CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f(); DROP TRIGGER t ON a; DROP FUNCTION f()',
    'CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM a; END',
    "COMMENT ON TABLE a IS 'what it is'; DROP TABLE IF EXISTS a, b CASCADE",
    'DO $$ BEGIN UPDATE a SET note = 1; END $$',
    "DO $$ DECLARE m mood := 'sad'; r a%ROWTYPE; BEGIN IF m = 'sad' THEN UPDATE a SET note = m WHERE id = r.id; END IF; END $$",
  ])('allows %s', async (sql) => {
    expect((await examine(sql)).refusals).toEqual([]);
  });

  it.each([
    ['transaction', 'BEGIN; CREATE TABLE a (); COMMIT'],
    ['transaction', 'DO $$ BEGIN COMMIT; END $$'],
    ['set', "SET search_path = 'x'"],
    ['set', 'RESET ROLE'],
    ['set', "SELECT set_config('role', 'tenantry_owner', false)"],
    ['set', "DO $$ BEGIN PERFORM pg_catalog.set_config('role', 'x', true); END $$"],
    ['set', "CREATE TABLE a (t text DEFAULT set_config('role', 'x', true))"],
    ['set', "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT set_config('role', 'x', true) $$"],
    ['set', "CREATE FUNCTION f() RETURNS text LANGUAGE sql SET role = 'x' RETURN '1'"],
    ['set', "CREATE FUNCTION f() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT set_config('role', 'x', true); END"],
    ['set', "DO $$ DECLARE a text[]; BEGIN a[length(set_config('role', 'x', true))] := '1'; END $$"],
    ['set', "DO $$ DECLARE r record := ROW(set_config('role', 'x', true)); BEGIN END $$"],
    ['set', "DO $$ BEGIN IF 1 = 1 THEN DECLARE r record = ROW(set_config('role', 'x', true)); BEGIN END; END IF; END $$"],
    ['set', "DO $$ DECLARE /* ä; = */ r mood NOT NULL DEFAULT set_config('role', 'x', true); BEGIN END $$"],
    ['schemas', 'DO $$ DECLARE r record := ROW((SELECT count(*) FROM log.events)); BEGIN END $$'],
    ['set', "UPDATE pg_settings SET setting = 'log' WHERE name = 'search_path'"],
    ['set', 'CREATE VIEW s AS SELECT * FROM pg_catalog.pg_settings'],
    ['roles', 'CREATE ROLE x'],
    ['roles', 'GRANT tenantry_owner TO x'],
    ['grants', 'GRANT SELECT ON a TO PUBLIC'],
    ['grants', 'ALTER TABLE a OWNER TO x'],
    ['policies', 'ALTER TABLE a NO FORCE ROW LEVEL SECURITY'],
    ['policies', 'CREATE POLICY p ON a USING (true)'],
    ['extensions', 'CREATE EXTENSION dblink'],
    ['schemas', 'CREATE TABLE shared.a ()'],
    ['schemas', 'SELECT * FROM log.events'],
    ['schemas', 'CREATE TABLE a (x int REFERENCES tenancy.placements)'],
    ['schemas', 'DROP TABLE shared.a'],
    ['schemas', 'DROP TRIGGER t ON shared.a'],
    ['schemas', 'CREATE SCHEMA x'],
    ['schemas', 'ALTER TABLE a SET SCHEMA public'],
    ['schemas', "SELECT nextval('app_other.s')"],
    ['schemas', "SELECT 'shared.a'::regclass"],
    ['schemas', 'SELECT shared.a.x FROM a'],
    ['schemas', 'CREATE FUNCTION shared.f() RETURNS int LANGUAGE sql RETURN 1'],
    ['schemas', 'CREATE TABLE a (x shared.mood)'],
    ['security_definer', 'CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1'],
    ['files', "COPY a FROM '/etc/passwd'"],
    ['files', "COPY a TO PROGRAM 'sh'"],
    ['functions', "SELECT pg_read_file('/etc/passwd')"],
    ['functions', "SELECT query_to_xml('SELECT 1', true, true, '')"],
    ['functions', "SELECT lo_import('/etc/passwd')"],
    ['functions', 'SELECT pg_sleep(100)'],
    ['functions', "SELECT setval(('app_' || 'other' || '.s')::regclass, 1)"],
    ['functions', "SELECT nextval(format('%s.s', 'app_other'))"],
    ['schemas', "SELECT setval(pg_get_serial_sequence('app_other.a', 'n'), 1)"],
    ['languages', "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'"],
    ['languages', "CREATE FUNCTION f() RETURNS int LANGUAGE 'PLPGSQL' AS $$ BEGIN EXECUTE 'SELECT 1'; END $$"],
    ['dynamic_sql', "DO $$ BEGIN EXECUTE 'DROP SCHEMA shared'; END $$"],
    ['dynamic_sql', "CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT 1'; END $$"],
    ['temporary', 'CREATE TEMP TABLE a ()'],
    ['tablespaces', 'CREATE TABLE a () TABLESPACE other'],
    ['concurrently', 'CREATE INDEX CONCURRENTLY i ON a (x)'],
    ['not_allowed', 'VACUUM a'],
    ['not_allowed', 'LISTEN x'],
    ['not_allowed', 'CREATE RULE r AS ON INSERT TO a DO INSTEAD NOTHING'],
    ['not_allowed', 'DROP SCHEMA shared'],
    ['not_allowed', 'ALTER ROLE a RENAME TO b'],
    ['schemas', 'ALTER TYPE shared.mood RENAME TO other'],
    ['schemas', "COMMENT ON TABLE shared.a IS 'x'"],
    ['syntax', 'CREATE TABEL a ()'],
    ['empty', ' -- nothing\n'],
  ])('refuses %s: %s', async (rule, sql) => {
    expect(await rulesOf(sql)).toContain(rule);
  });

  it('refuses what is too deep to be read', async () => {
    const deep = `DO $$ DECLARE r record := ROW(${'1+'.repeat(20_000)}length(set_config('role', 'x', true))); BEGIN END $$`;
    expect(await rulesOf(deep)).toEqual(['body']);
  });

  it('names the statement, its line and the reason', async () => {
    const { refusals } = await examine('-- first\nCREATE TABLE "ä" ();\n\n/* then */\n  COPY a\n FROM \'x\';\nSELECT 1');
    expect(refusals).toEqual([
      { statement: 2, line: 5, sql: "COPY a\n FROM 'x'", rule: 'files', reason: 'COPY reads and writes files and programs' },
    ]);
  });

  it('tells what can be folded, and what changes rows', async () => {
    expect(await examine('CREATE TABLE a (); CREATE INDEX i ON a (x); DROP TABLE b')).toMatchObject({ isFoldable: true, hasData: false });
    expect(await examine('CREATE VIEW v AS SELECT 1')).toMatchObject({ isFoldable: false });
    expect(await examine('UPDATE a SET x = 1')).toMatchObject({ isFoldable: false, hasData: true });
  });
});
