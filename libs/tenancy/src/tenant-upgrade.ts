import { join } from 'node:path';
import type { ClientBase, Pool } from 'pg';
import { stampOf, versionOf } from './compile.js';
import { type MigrationFile, migrationFiles, repositoryRoot, tenantMigrations } from './migration-files.js';
import { ledgerTable } from './migrator.js';
import { BLUEPRINT_LOGIN, OWNER } from './names.js';
import type { Placement } from './placement.js';
import { identifier, integer, literal, uuidLiteral } from './sql.js';

/** The versions of tenants' schemas that this installation has had. */
export interface OwnVersions {
  current: string;
  files: readonly MigrationFile[];
  /** Names of the files that a schema of that version has. */
  byVersion: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * A schema says its version, a hash over its files; which files these were, the shared place's ledger knows, which has gone through
 * every version that this installation has had. @param pool logs in as who may act as the owner
 */
export async function ownVersions(pool: Pool, root = repositoryRoot): Promise<OwnVersions> {
  const files = await tenantMigrations(root);
  const client = await pool.connect();
  try {
    await client.query(`BEGIN; SET LOCAL ROLE ${OWNER}`);
    const { rows } = await client.query<{ names: string[] }>(
      `SELECT array_agg(file) AS names FROM tenancy.migrations WHERE component = 'shared' GROUP BY applied_at ORDER BY applied_at`,
    );
    return {
      current: versionOf(files),
      files,
      byVersion: cumulated(
        files,
        rows.map(({ names }) => names),
      ),
    };
  } finally {
    await client.query('COMMIT');
    client.release();
  }
}

/** Versions after each of the installation's upgrades. Pure. @param upgrades names of the files that each brought */
export function cumulated(files: readonly MigrationFile[], upgrades: readonly (readonly string[])[]): Map<string, Set<string>> {
  const versions = new Map<string, Set<string>>();
  const applied = new Set<string>();
  for (const names of upgrades) {
    for (const name of names) applied.add(name);
    versions.set(versionOf(files.filter(({ name }) => applied.has(name))), new Set(applied));
  }
  return versions;
}

/** What a schema's comment says; null where there is no such schema. */
export async function versionIn(client: ClientBase, schema: string): Promise<string | null> {
  const { rows } = await client.query<{ stamp: string | null }>(
    `SELECT obj_description(oid, 'pg_namespace') AS stamp FROM pg_namespace WHERE nspname = $1`,
    [schema],
  );
  return rows[0]?.stamp?.replace(/^tenantry /, '') ?? null;
}

/**
 * Takes a schema from one version to the current one: the missing files in their order, then row-level security and rights for what
 * they made, then the new version; to be run inside a transaction. TG005 where the schema isn't at that version (any more). Shared tables
 * have no gate of one tenant.
 */
export function upgradeScript(
  { schema, role, ...gate }: Pick<Placement, 'schema' | 'role'> & (Pick<Placement, 'tenantId' | 'generation'> | { tenantId: null }),
  from: string,
  { current, files, byVersion }: OwnVersions,
): string {
  const has = byVersion.get(from);
  if (!has) throw new Error(`This installation never had the version ${from}`);
  const name = identifier(schema);
  return `SET LOCAL ROLE ${OWNER};
SELECT pg_advisory_xact_lock(hashtextextended(${literal(schema)}, 4713));
${gate.tenantId === null ? '' : `SELECT tenancy.enter_tenant(${uuidLiteral(gate.tenantId)}, ${integer(gate.generation)});`}
DO $do$ BEGIN
  IF obj_description(${literal(name)}::regnamespace, 'pg_namespace') IS DISTINCT FROM ${literal(stampOf(from))} THEN
    RAISE SQLSTATE 'TG005' USING MESSAGE = 'the schema has another version';
  END IF;
END $do$;
SET LOCAL search_path = ${name}, pg_catalog;
${files
  .filter((file) => !has.has(file.name))
  .map(({ sql }) => `${sql}\n;`)
  .join('\n')}
SET LOCAL ROLE ${OWNER}; SET LOCAL search_path = ${name}, pg_catalog;
DO $do$ DECLARE made text; BEGIN
  FOR made IN SELECT relname FROM pg_class WHERE relnamespace = ${literal(name)}::regnamespace AND relkind = 'r' AND NOT relforcerowsecurity ORDER BY oid LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', made);
    EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_setting(''app.tenant_id'')::uuid)', made);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO %I', made, ${literal(role)});
  END LOOP;
END $do$;
COMMENT ON SCHEMA ${name} IS ${literal(stampOf(current))};`;
}

/** Files that every database with tenants needs. */
export const databaseFiles = (root = repositoryRoot): Promise<MigrationFile[]> =>
  migrationFiles(join(root, 'libs/tenancy/migrations/every-database'));

const COMPONENT = 'tenancy-gate';

/** Writes down that a new isolated database has all of them; to be run as the owner, in the transaction that runs them. */
export const recordDatabaseFiles = (files: readonly MigrationFile[]): string =>
  `${ledgerTable}
   INSERT INTO tenancy.migrations (component, file, sha256) VALUES ${files.map((file) => `(${literal(COMPONENT)}, ${literal(file.name)}, ${literal(file.sha256)})`).join(', ')} ON CONFLICT DO NOTHING;`;

/** Brings a database other than the control plane's to this release's files; one statement where nothing is missing. @param login of its tenants */
export async function upgradeDatabase(client: ClientBase, files: readonly MigrationFile[], login: string): Promise<void> {
  await client.query(`BEGIN; SET LOCAL ROLE ${OWNER}; SELECT pg_advisory_xact_lock(hashtextextended('tenancy', 4713))`);
  try {
    // A database from before there was a ledger in it has the first file and no other.
    const { rows } = await client.query<{ known: boolean }>(`SELECT to_regclass('tenancy.migrations') IS NOT NULL AS known`);
    const applied = rows[0]!.known
      ? (await client.query<{ file: string }>('SELECT file FROM tenancy.migrations WHERE component = $1', [COMPONENT])).rows.map(
          ({ file }) => file,
        )
      : ['0001_gate.sql'];
    const missing = files.filter(({ name }) => !applied.includes(name));
    if (missing.length > 0)
      await client.query(
        `SET LOCAL search_path = tenancy, pg_catalog; ${missing.map(({ sql }) => `${sql}\n;`).join('\n')} ${databaseGrants(login)} ${recordDatabaseFiles(files)}
         RESET ROLE; DO $do$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO ${BLUEPRINT_LOGIN}', current_database()); END $do$`,
      );
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** What the login of a tenant, or of a database of many tenants, may do with what every database has. */
export const databaseGrants = (login: string): string =>
  `GRANT USAGE ON SCHEMA tenancy TO ${identifier(login)};
   GRANT SELECT ON tenancy.tenant_gate TO ${identifier(login)};
   GRANT EXECUTE ON FUNCTION tenancy.enter_tenant(uuid, bigint), tenancy.tenant_lock(uuid) TO ${identifier(login)};`;
