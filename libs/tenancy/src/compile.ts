import type { ClientBase } from 'pg';
import { type Catalogue, type Column, differences, readCatalogue, type Table } from './catalogue.js';
import { type MigrationFile, sha256 } from './migration-files.js';
import { identifier, withNames } from './sql.js';

export interface PlaceNames {
  schema: string;
  appSchema: string;
  /** Gets USAGE and the four DML rights, nothing else. Must exist. */
  role: string;
  /** Owns what is made; the connection must be able to SET ROLE to it. */
  owner: string;
}

/** What a tenant's schema says it is: in its comment. */
export const stampOf = (version: string): string => `tenantry ${version}`;
/** The version that a compiled script leaves in the schema's comment. */
export const stampedVersion = (compiled: string): string | null => /IS 'tenantry ([0-9a-f]+)';/.exec(compiled)?.[1] ?? null;
export const versionOf = (files: readonly MigrationFile[]): string =>
  sha256(files.map((file) => `${file.name} ${file.sha256}\n`).join('')).slice(0, 16);

/** The script for one place. To be run inside a transaction; the role is the owner's afterwards. */
export const scriptFor = (compiled: string, { schema, appSchema, role, owner }: PlaceNames): string =>
  withNames(compiled, { schema, app_schema: appSchema, role, owner });

/** Row-level security and the tenant's rights, for tables of the search path. */
export function stampTables(tables: readonly string[]): string {
  const names = tables.map(identifier);
  return [
    ...names.map((name) => `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;`),
    // Without WITH CHECK: USING holds for new rows too. No OR and nothing volatile, so that it is an index condition.
    ...names.map((name) => `CREATE POLICY tenant ON ${name} USING (tenant_id = current_setting('app.tenant_id')::uuid);`),
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${names.join(', ')} TO :"role";`,
  ].join('\n');
}

/**
 * Folds tenant migrations into one script that makes the same tables at once. Works in a transaction that is rolled back.
 * @param client a superuser's
 * @throws Error that names what the script cannot carry, a table that breaks the rules of tenant tables, or what differs from a replay
 */
export async function compile(client: ClientBase, files: readonly MigrationFile[]): Promise<string> {
  const version = versionOf(files);
  await client.query('BEGIN');
  try {
    const replayed = await replay(client, files);
    const script = render(replayed, version);
    const different = differences(replayed, await built(client, script));
    if (different.length > 0) throw new Error(`The compiled script does not make what the migrations make:\n  ${different.join('\n  ')}`);
    return script;
  } finally {
    await client.query('ROLLBACK');
  }
}

const scratch = (schema: string): PlaceNames => ({
  schema,
  appSchema: `app_${schema}`,
  role: 'tenantry_scratch',
  owner: 'tenantry_scratch_owner',
});
const makeScratchRoles = `
  CREATE ROLE tenantry_scratch; CREATE ROLE tenantry_scratch_owner;
  DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO tenantry_scratch_owner', current_database()); END $$;`;

/** The catalogue after all migrations in their order, stamped. Runs inside the caller's transaction. */
async function replay(client: ClientBase, files: readonly MigrationFile[]): Promise<Catalogue> {
  const names = scratch('tenantry_replayed');
  await client.query(
    `${makeScratchRoles} SET LOCAL ROLE ${names.owner}; CREATE SCHEMA ${names.schema}; SET LOCAL search_path = ${names.schema}, pg_catalog`,
  );
  for (const file of files) {
    try {
      await client.query(file.sql);
    } catch (error) {
      throw new Error(`${file.name}: ${(error as Error).message}`, { cause: error });
    }
  }
  const { tables, other } = await readCatalogue(client, names.schema, names.role);
  const faults = [...other.map((what) => `${what}: tenant schemas hold plain tables only`), ...tables.flatMap(faultsOf)];
  if (faults.length > 0) throw new Error(`The tenant migrations cannot be compiled:\n  ${faults.join('\n  ')}`);
  if (tables.length > 0) await client.query(withNames(stampTables(tables.map((table) => table.name)), { role: names.role }));
  const catalogue = await readCatalogue(client, names.schema, names.role);
  await client.query('RESET ROLE');
  return catalogue;
}

async function built(client: ClientBase, script: string): Promise<Catalogue> {
  const names = scratch('tenantry_compiled');
  await client.query(scriptFor(script, names));
  const catalogue = await readCatalogue(client, names.schema, names.role);
  await client.query('RESET ROLE');
  return catalogue;
}

/** What the migrations make against what the script makes: empty when it is the same. A superuser's client; nothing stays. */
export async function compareWithReplay(client: ClientBase, files: readonly MigrationFile[], script: string): Promise<string[]> {
  await client.query('BEGIN');
  try {
    return differences(await replay(client, files), await built(client, script));
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Every key starts with the tenant: that is what makes forced row-level security an index condition, and rows movable. */
function faultsOf(table: Table): string[] {
  const faults: string[] = [];
  const tenant = table.columns.find((column) => column.name === 'tenant_id');
  if (tenant?.type !== 'uuid' || !tenant.notNull) faults.push(`table ${table.name}: needs a column tenant_id uuid NOT NULL`);
  if (!table.constraints.some((constraint) => constraint.kind === 'p')) faults.push(`table ${table.name}: needs a primary key`);
  for (const { name, kind, columns } of table.constraints)
    if ('puf'.includes(kind) && columns[0] !== 'tenant_id') faults.push(`table ${table.name}: ${name} must start with tenant_id`);
  for (const { name, columns } of table.indexes)
    if (columns[0] !== 'tenant_id') faults.push(`table ${table.name}: index ${name} must start with tenant_id`);
  for (const column of table.columns)
    if (column.identity !== '') faults.push(`table ${table.name}: ${column.name} is an identity column; ids come from events`);
  return faults;
}

function render({ tables }: Catalogue, version: string): string {
  const names = tables.map((table) => table.name);
  return [
    '-- Made from the tenant migrations by libs/tenancy/dist/compile-main.js; do not edit.',
    'SET LOCAL ROLE :"owner";',
    'CREATE SCHEMA :"schema";',
    'CREATE SCHEMA :"app_schema";',
    'GRANT USAGE ON SCHEMA :"schema", :"app_schema" TO :"role";',
    'SET LOCAL search_path = :"schema";',
    ...renderTables(tables),
    ...(names.length > 0 ? [stampTables(names)] : []),
    `COMMENT ON SCHEMA :"schema" IS '${stampOf(version)}';`,
    '',
  ].join('\n');
}

/** Statements that make them on the search path; foreign keys last, whichever table was first. */
export const renderTables = (tables: readonly Table[]): string[] => [...tables.map(renderTable), ...tables.flatMap(renderReferences)];

const renderReferences = (table: Table): string[] =>
  table.constraints
    .filter(({ kind }) => kind === 'f')
    .map(({ name, definition }) => `ALTER TABLE ${identifier(table.name)} ADD CONSTRAINT ${identifier(name)} ${definition};`);

function renderTable(table: Table): string {
  const lines = [
    ...table.columns.map(renderColumn),
    ...table.constraints
      .filter(({ kind }) => kind !== 'f')
      .map(({ name, kind, definition }) =>
        kind === 'p' && name === `${table.name}_pkey` ? definition : `CONSTRAINT ${identifier(name)} ${definition}`,
      ),
  ];
  const options = table.options ? ` WITH (${table.options.join(', ')})` : '';
  const indexes = table.indexes.map((index) => `\n${index.definition};`).join('');
  return `CREATE TABLE ${identifier(table.name)} (\n  ${lines.join(',\n  ')}\n)${options};${indexes}`;
}

/** A column as `CREATE TABLE` says it; identity apart. */
export function renderColumn({ name, type, notNull, default: value, generated, storage, collation }: Column): string {
  const words = [identifier(name), type];
  if (storage === 'e' || storage === 'm') words.push(`STORAGE ${storage === 'e' ? 'EXTERNAL' : 'MAIN'}`);
  if (collation !== null) words.push(`COLLATE ${collation}`);
  if (value !== null)
    words.push(generated === '' ? `DEFAULT ${value}` : `GENERATED ALWAYS AS (${value}) ${generated === 's' ? 'STORED' : 'VIRTUAL'}`);
  if (notNull) words.push('NOT NULL');
  return words.join(' ');
}
