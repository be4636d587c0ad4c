import type { ClientBase } from 'pg';
import type { MigrationFile } from './migration-files.js';
import { OWNER } from './names.js';
import { identifier } from './sql.js';

/** Files that are applied in their order, each once, each in a transaction of its own, as the platform's owner. */
export interface MigrationSet {
  /** Name in the ledger; never changed once it is in use. */
  component: string;
  files: readonly MigrationFile[];
  /** Search path of the files, made before the first where it does not exist. Null where they name schemas themselves. */
  schema: string | null;
  /** Runs in the transaction of each file, after it: grants on what it made. */
  after?: string;
}

const LOCK = 7_266_318_501;

type Ledger = Map<string, { sha256: string; appliedAt: Date }>;
const keyOf = (component: string, file: string) => `${component} ${file}`;

/** Everything that was applied, in one query; null before the first migration. */
export async function readLedger(client: ClientBase): Promise<Ledger | null> {
  try {
    const { rows } = await client.query<{ component: string; file: string; sha256: string; applied_at: Date }>(
      'SELECT component, file, sha256, applied_at FROM tenancy.migrations',
    );
    return new Map(rows.map((row) => [keyOf(row.component, row.file), { sha256: row.sha256, appliedAt: row.applied_at }]));
  } catch (error) {
    if ((error as { code?: string }).code === '42P01') return null;
    throw error;
  }
}

/** What is still to be applied. @throws Error that names each applied file whose text has changed since */
export function pendingFiles(ledger: Ledger | null, { component, files }: Pick<MigrationSet, 'component' | 'files'>): MigrationFile[] {
  const changed = files.flatMap((file) => {
    const applied = ledger?.get(keyOf(component, file.name));
    return applied && applied.sha256 !== file.sha256 ? [`${component}: ${file.name}, applied at ${applied.appliedAt.toISOString()}`] : [];
  });
  if (changed.length > 0)
    throw new Error(
      `Migrations that were applied have changed since; put them back and write new files instead:\n  ${changed.join('\n  ')}`,
    );
  return files.filter((file) => !ledger?.has(keyOf(component, file.name)));
}

/** True where a remembered value is what it is now: for what is no file, such as the roles. */
export const isRecorded = (ledger: Ledger | null, component: string, file: string, sha256: string): boolean =>
  ledger?.get(keyOf(component, file))?.sha256 === sha256;

/** Remembers that something is applied, in the caller's transaction if there is one. The connection acts as the owner or may. */
export async function record(
  client: ClientBase,
  component: string,
  files: readonly Pick<MigrationFile, 'name' | 'sha256'>[],
): Promise<void> {
  await client.query(
    `INSERT INTO tenancy.migrations (component, file, sha256)
     SELECT $1, file, sha256 FROM unnest($2::text[], $3::text[]) AS given (file, sha256)
     ON CONFLICT (component, file) DO UPDATE SET sha256 = excluded.sha256, applied_at = now()`,
    [component, files.map((file) => file.name), files.map((file) => file.sha256)],
  );
}

/** The ledger itself; to be run as the owner. */
export const ledgerTable = `
  CREATE SCHEMA IF NOT EXISTS tenancy;
  CREATE TABLE IF NOT EXISTS tenancy.migrations (
    component text NOT NULL,
    file text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (component, file)
  );`;
export const ledgerScript = `SET ROLE ${OWNER}; ${ledgerTable} RESET ROLE;`;

/** One migrator at a time, for as long as `work` runs; another waits. The connection is the caller's alone. */
export async function exclusively<T>(client: ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [LOCK]);
  }
}

/** Runs `work` in a transaction as the platform's owner. */
export async function asOwner<T>(client: ClientBase, schema: string | null, work: () => Promise<T>): Promise<T> {
  const path = schema === null ? 'pg_catalog' : `${identifier(schema)}, pg_catalog`;
  await client.query(`BEGIN; SET LOCAL ROLE ${OWNER}; SET LOCAL search_path = ${path}`);
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** Applies what is missing. Answers its names, `component/file`. @throws Error that names the file that failed */
export async function applyMigrations(client: ClientBase, ledger: Ledger | null, sets: readonly MigrationSet[]): Promise<string[]> {
  const applied: string[] = [];
  for (const set of sets) {
    for (const file of pendingFiles(ledger, set)) {
      try {
        await asOwner(client, set.schema, async () => {
          if (set.schema !== null) await client.query(`CREATE SCHEMA IF NOT EXISTS ${identifier(set.schema)}`);
          await client.query(file.sql);
          if (set.after) await client.query(set.after);
          // The file may have changed the role or the path.
          await client.query(`SET LOCAL ROLE ${OWNER}`);
          await record(client, set.component, [file]);
        });
      } catch (error) {
        throw new Error(`${set.component}: ${file.name}: ${(error as Error).message}`, { cause: error });
      }
      applied.push(`${set.component}/${file.name}`);
    }
  }
  return applied;
}
