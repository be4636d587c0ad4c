import { randomUUID } from 'node:crypto';
import type { ClientBase } from 'pg';
import type { AppSessions } from './app-sessions.js';
import { type Objects, objectsOf } from './blueprint-objects.js';
import { type AppStep, appWork, type Stamp, stampScript, unforced } from './blueprint-script.js';
import type { Refusal, Statement } from './blueprint-sql.js';
import { readCatalogue, type Table } from './catalogue.js';
import { renderTables } from './compile.js';
import { CONTROL_PLANE_DATABASE, SHARED_ROLE } from './names.js';
import { DEFAULT_SERVER } from './servers.js';

export interface Trial {
  statements: readonly Statement[];
  hasData: boolean;
  supportsShared: boolean;
  /** Takes an empty schema to the version before. */
  before: readonly AppStep[];
  /** All versions up to this one are foldable. */
  isFoldable: boolean;
}
export interface Tried {
  refusals: Refusal[];
  stamp: Stamp;
  /** What a schema holds afterwards. */
  objects: Objects;
  compiled: { sql: string; stamp: Stamp } | null;
}

/** Tenants' tables on the scratch schema are those of a tenant that there is not. */
const NOBODY = '00000000-0000-0000-0000-0000000000ff';
const noStamp: Stamp = { tables: [], force: [], unforce: [], sequences: [], views: [] };

/**
 * Runs a version on scratch schemas, in a transaction that is rolled back, with the login, as the role and in the context that tenants'
 * schemas are changed with. Gives what it makes, or which statement fails and why.
 */
export async function tryOut(sessions: AppSessions, trial: Trial): Promise<Tried> {
  return sessions.run({ server: DEFAULT_SERVER, database: CONTROL_PLANE_DATABASE }, async (client) => {
    try {
      await client.query(`BEGIN; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '2s'`);
      return await onScratch(client, trial);
    } finally {
      // Where even that fails the session is broken, which is seen when it is given back.
      await client.query('ROLLBACK').catch(() => undefined);
    }
  });
}

interface Scratch {
  schema: string;
  role: string;
  tenantId: string | null;
  run(...texts: string[]): Promise<void>;
}

async function onScratch(client: ClientBase, trial: Trial): Promise<Tried> {
  const scratch = await makeSchema(client, trial.supportsShared ? null : NOBODY);
  await scratch.run(...appWork(scratch, trial.before).texts);
  const existing = await tablesOf(client, scratch.schema);
  const shadowedBefore = await shadowsOf(client, scratch.schema);
  const unforce = trial.hasData && trial.supportsShared ? existing.map(({ name }) => name) : [];
  await scratch.run(...unforced({ ...noStamp, unforce }));

  try {
    await scratch.run(...trial.statements.map(({ sql }) => sql));
  } catch (error) {
    const index = statementOf(error) - 1;
    return { refusals: [refusal(index, trial.statements[index]!, 'fails', reasonOf(error))], stamp: noStamp, objects: {}, compiled: null };
  }
  const { tables, other } = await readCatalogue(client, scratch.schema, SHARED_ROLE);
  const faults = trial.supportsShared ? [...tables.flatMap(sharedFaults), ...otherFaults(other)] : [];
  const lost = (await tablesOf(client, scratch.schema)).filter((table) => table.rowSecurity && !table.hasPolicy);
  faults.push(...lost.map(({ name }) => ({ relation: name, reason: `${name} has lost the platform’s policy with its column tenant_id` })));
  const shadows = (await shadowsOf(client, scratch.schema)).filter((name) => !shadowedBefore.includes(name));
  faults.push(...shadows.map((name) => ({ relation: name, reason: `the function ${name} has the name of one of PostgreSQL’s own` })));
  if (faults.length > 0)
    return { refusals: faults.map((fault) => locate(trial.statements, fault)), stamp: noStamp, objects: {}, compiled: null };

  const stamp = { ...(await stampFor(client, scratch.schema)), unforce };
  await scratch.run(stampScript(stamp, scratch));
  const objects = (await objectsOf(client, [scratch.schema])).get(scratch.schema)!;
  const compiled = trial.isFoldable ? await fold(client, tables, scratch.tenantId, objects) : null;
  return { refusals: [], stamp, objects, compiled };
}

/** An empty schema, which the session reads on its search path. Its name has the length of tenants' and is part of no definition. */
async function makeSchema(client: ClientBase, tenantId: string | null): Promise<Scratch> {
  const schema = `app_${randomUUID().replaceAll('-', '')}`;
  await client.query('SELECT tenancy.make_scratch($1)', [schema]);
  await client.query(`SET LOCAL search_path = ${schema}`);
  const run = async (...texts: string[]): Promise<void> => {
    const statements = texts.filter((text) => text !== '');
    if (statements.length > 0) await client.query('SELECT tenancy.run_app($1, $2, $3, telling => true)', [schema, tenantId, statements]);
  };
  return { schema, role: SHARED_ROLE, tenantId, run };
}

interface ScratchTable {
  name: string;
  hasTenant: boolean;
  rowSecurity: boolean;
  forced: boolean;
  hasPolicy: boolean;
}
async function tablesOf(client: ClientBase, schema: string): Promise<ScratchTable[]> {
  const { rows } = await client.query<ScratchTable>(
    `SELECT c.relname AS name, c.relrowsecurity AS "rowSecurity", c.relforcerowsecurity AS forced,
       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS "hasPolicy",
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped) AS "hasTenant"
     FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.oid`,
    [schema],
  );
  return rows;
}

/**
 * Functions with the name of one in pg_catalog. PostgreSQL looks there first, yet takes another's whose parameters fit better: whoever reads the
 * schema's definitions with the schema on the search path, as a move does, would run it.
 */
async function shadowsOf(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT p.proname AS name FROM pg_proc p WHERE p.pronamespace = $1::regnamespace
       AND EXISTS (SELECT FROM pg_proc own WHERE own.pronamespace = 'pg_catalog'::regnamespace AND own.proname = p.proname)`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

async function stampFor(client: ClientBase, schema: string): Promise<Omit<Stamp, 'unforce'>> {
  const tables = await tablesOf(client, schema);
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT relname AS name, relkind AS kind FROM pg_class c WHERE relnamespace = $1::regnamespace AND relkind IN ('S', 'v', 'm')
     AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) e WHERE e.grantee = $2::regrole) ORDER BY oid`,
    [schema, SHARED_ROLE],
  );
  return {
    tables: tables.filter(({ hasPolicy }) => !hasPolicy).map(({ name, hasTenant }) => ({ name, hasTenant })),
    force: tables.filter(({ hasPolicy, forced }) => hasPolicy && !forced).map(({ name }) => name),
    sequences: rows.filter(({ kind }) => kind === 'S').map(({ name }) => name),
    views: rows.filter(({ kind }) => kind !== 'S').map(({ name }) => name),
  };
}

/** The state as one script, where that makes the very same. */
async function fold(client: ClientBase, tables: readonly Table[], tenantId: string | null, expected: Objects): Promise<Tried['compiled']> {
  const sql = renderTables(tables).join('\n');
  const scratch = await makeSchema(client, tenantId);
  await client.query('SAVEPOINT fold');
  try {
    await scratch.run(sql);
    const stamp = { ...(await stampFor(client, scratch.schema)), unforce: [] };
    await scratch.run(stampScript(stamp, scratch));
    const found = (await objectsOf(client, [scratch.schema])).get(scratch.schema)!;
    return JSON.stringify(sorted(found)) === JSON.stringify(sorted(expected)) ? { sql, stamp } : null;
  } catch {
    // Something that can't be rendered (a type that was renamed away, say): versions are replayed then, which is known to work.
    await client.query('ROLLBACK TO SAVEPOINT fold');
    return null;
  }
}
const sorted = (objects: Objects) =>
  Object.keys(objects)
    .sort()
    .map((name) => [name, objects[name]]);

interface Fault {
  relation: string;
  reason: string;
}
/** In app_shared every row says whose it is, and no key can tell one tenant of another's rows. */
function sharedFaults(table: Table): Fault[] {
  const fault = (reason: string): Fault => ({ relation: table.name, reason: `${table.name} ${reason}` });
  const faults: Fault[] = [];
  const tenant = table.columns.find(({ name }) => name === 'tenant_id');
  const isDefault = /^\(?current_setting\('app\.tenant_id'(::text)?\)\)?::uuid$/.test(tenant?.default ?? '');
  if (tenant?.type !== 'uuid' || !tenant.notNull || !isDefault)
    faults.push(fault(`needs tenant_id uuid NOT NULL DEFAULT current_setting('app.tenant_id')::uuid`));
  if (!table.constraints.some(({ kind }) => kind === 'p')) faults.push(fault('needs a primary key'));
  for (const { name, kind, columns, references } of table.constraints) {
    if ('pufx'.includes(kind) && columns[0] !== 'tenant_id') faults.push(fault(`has the key ${name}, which must begin with tenant_id`));
    // A foreign key is looked up past row-level security: whatever else it leads to, it would tell of another tenant's rows.
    else if (kind === 'f' && references?.[0] !== 'tenant_id') faults.push(fault(`has the key ${name}, which must lead to tenant_id first`));
  }
  for (const { name, unique, columns } of table.indexes)
    if (unique && columns[0] !== 'tenant_id') faults.push(fault(`has the unique index ${name}, which must begin with tenant_id`));
  return faults;
}
const otherFaults = (other: readonly string[]): Fault[] =>
  other
    .filter((what) => what.startsWith('materialized view '))
    .map((what) => ({
      relation: what.slice('materialized view '.length),
      reason: `${what} would hold rows of all tenants without row-level security`,
    }));

const refusal = (index: number, { line, sql }: Statement, rule: string, reason: string): Refusal => ({
  statement: index + 1,
  line,
  sql: sql.slice(0, 200),
  rule,
  reason,
});

/** The last statement that mentions what is at fault. */
function locate(statements: readonly Statement[], { relation, reason }: Fault): Refusal {
  const index = Math.max(
    0,
    statements.findLastIndex((statement) => statement.relations.includes(relation)),
  );
  return refusal(index, statements[index]!, 'shared', reason);
}

/** From 1. @throws the error where it is none of a statement's */
function statementOf(error: unknown): number {
  const { message, code } = error as { message: string; code?: string };
  if (code === 'TG007') return 1;
  const at = code === 'TG006' ? / in statement (\d+)$/.exec(message)?.[1] : undefined;
  if (at === undefined) throw error;
  return Number(at);
}

function reasonOf(error: unknown): string {
  const { message, detail, code } = error as { message: string; detail?: string; code?: string };
  if (code === undefined) throw error;
  // What PostgreSQL said of the statement comes as the detail of run_app's own error.
  const said = code === 'TG006' ? (detail ?? '') : message;
  if (/app\.tenant_id|invalid input syntax for type uuid: ""/.test(said))
    return 'it writes rows without saying whose they are: in app_shared an INSERT must name tenant_id';
  return said.replaceAll(/app_[0-9a-f]{32}\./g, '');
}
