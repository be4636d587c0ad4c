import type { Pool } from 'pg';
import type { AppStep, Stamp } from './blueprint-script.js';
import { statementsOf } from './blueprint-sql.js';

interface Row {
  blueprint: string;
  version: number;
  sha256: string;
  sql: string;
  stamp: Stamp;
  compiled: string | null;
  compiled_stamp: Stamp | null;
}

/** Versions that new tenants go through are the same each time: some are kept in pieces, by the hash of their text. */
const KEPT = 50;
const split = new Map<string, Promise<string[]>>();
function statementsIn({ sha256, sql }: Row): Promise<string[]> {
  const known = split.get(sha256);
  if (known) return known;
  const statements = statementsOf(sql);
  split.set(sha256, statements);
  if (split.size > KEPT) split.delete(split.keys().next().value!);
  return statements;
}

const asWritten = async (row: Row): Promise<AppStep> => ({ ...named(row), statements: await statementsIn(row), stamp: row.stamp });
const named = ({ blueprint, version, sha256 }: Row) => ({ blueprint, version, checksum: sha256 });
/** A version as the first of a new schema: all before it is in its compiled state. */
const asFirst = async (row: Row): Promise<AppStep> =>
  row.compiled === null ? asWritten(row) : { ...named(row), statements: [row.compiled], stamp: row.compiled_stamp! };

const columns = 'v.blueprint, v.version, v.sha256, v.sql, v.stamp, v.compiled, v.compiled_stamp';

/** Steps from nothing to `version` of one blueprint. */
export async function stepsTo(pool: Pool, blueprint: string, version: number): Promise<AppStep[]> {
  const { rows } = await pool.query<Row>(
    `SELECT ${columns} FROM tenancy.blueprint_versions v WHERE blueprint = $1 AND version <= $2
       AND version >= coalesce((SELECT max(c.version) FROM tenancy.blueprint_versions c WHERE c.blueprint = $1 AND c.version <= $2 AND c.compiled IS NOT NULL), 0)
     ORDER BY version`,
    [blueprint, version],
  );
  return Promise.all(rows.map((row, index) => (index === 0 ? asFirst(row) : asWritten(row))));
}

/** Versions after `from` up to `to`, as they were written. */
export async function stepsBetween(pool: Pool, blueprint: string, from: number, to: number): Promise<AppStep[]> {
  const { rows } = await pool.query<Row>(
    `SELECT ${columns} FROM tenancy.blueprint_versions v WHERE blueprint = $1 AND version > $2 AND version <= $3 ORDER BY version`,
    [blueprint, from, to],
  );
  return Promise.all(rows.map(asWritten));
}

/** What a new tenant gets: the last version of every active blueprint that supports its level. One query. */
export async function stepsForNew(pool: Pool, isShared: boolean): Promise<AppStep[]> {
  const { rows } = await pool.query<Row>({
    name: 'tenancy-blueprints-of-new',
    text: `SELECT ${columns} FROM tenancy.blueprints b JOIN tenancy.blueprint_versions v ON v.blueprint = b.name
           WHERE b.status = 'active' AND (b.supports_shared OR NOT $1)
             AND v.version >= coalesce((SELECT max(c.version) FROM tenancy.blueprint_versions c WHERE c.blueprint = b.name AND c.compiled IS NOT NULL), 0)
           ORDER BY b.created_at, b.name, v.version`,
    values: [isShared],
  });
  return Promise.all(rows.map((row, index) => (rows[index - 1]?.blueprint === row.blueprint ? asWritten(row) : asFirst(row))));
}

/** What a schema has: the highest version of each blueprint, by schema. */
export type AppVersions = Map<string, { version: number; checksum: string }>;

export async function appLedger(
  client: Pick<Pool, 'query'>,
  schemas: readonly string[],
  blueprint?: string,
): Promise<Map<string, AppVersions>> {
  const { rows } = await client.query<{ app_schema: string; blueprint: string; version: number; checksum: string }>(
    `SELECT DISTINCT ON (app_schema, blueprint) app_schema, blueprint, version, checksum FROM tenancy.app_ledger
     WHERE app_schema = ANY ($1) AND ($2::text IS NULL OR blueprint = $2) ORDER BY app_schema, blueprint, version DESC`,
    [schemas, blueprint ?? null],
  );
  const found = new Map<string, AppVersions>(schemas.map((schema) => [schema, new Map()]));
  for (const row of rows) found.get(row.app_schema)!.set(row.blueprint, { version: row.version, checksum: row.checksum });
  return found;
}
