import { join } from 'node:path';
import type { ClientBase } from 'pg';
import { scriptFor, stampOf, stampTables, versionOf } from './compile.js';
import { type MigrationFile, migrationFiles, tenantMigrations } from './migration-files.js';
import { asOwner, type MigrationSet, record } from './migrator.js';
import { OWNER, SHARED_APP_SCHEMA, SHARED_ROLE, SHARED_SCHEMA, serviceLogin, serviceSchema } from './names.js';
import { identifier, withNames } from './sql.js';

/** Every set of the platform's own tables, in the order in which they build on each other. */
export async function platformSets(root: string, services: readonly string[]): Promise<MigrationSet[]> {
  const at = (...parts: string[]) => migrationFiles(join(root, ...parts));
  const [gate, placements, log, messaging, ...own] = await Promise.all([
    at('libs/tenancy/migrations/every-database'),
    at('libs/tenancy/migrations/control-plane'),
    at('libs/event-store/migrations'),
    at('libs/messaging/migrations'),
    ...services.map((service) => at('services', service, 'migrations/service')),
  ]);
  return [
    { component: 'tenancy-gate', files: gate!, schema: 'tenancy' },
    { component: 'tenancy', files: placements!, schema: 'tenancy' },
    // Makes its schema itself.
    { component: 'event-store', files: log!, schema: null },
    ...services.flatMap((service, index): MigrationSet[] => {
      const schema = serviceSchema(service);
      const after = serviceGrants(service);
      return [
        {
          component: `messaging:${service}`,
          files: messaging!.map((file) => ({ ...file, sql: inSchema(file.sql, schema) })),
          schema,
          after,
        },
        { component: service, files: own[index]!, schema, after },
      ];
    }),
  ];
}

/** The messaging template names its schema `:schema`. */
const inSchema = (sql: string, schema: string) => sql.replaceAll(/(?<![:\w]):schema\b/g, () => identifier(schema));

function serviceGrants(service: string): string {
  const schema = identifier(serviceSchema(service));
  const login = identifier(serviceLogin(service));
  return [
    `GRANT USAGE ON SCHEMA ${schema} TO ${login};`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${login};`,
    `GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA ${schema} TO ${login};`,
    `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${schema} TO ${login};`,
  ].join('\n');
}

/** What the ledger says of the place that all shared tenants are in. */
export async function sharedSet(root: string): Promise<MigrationSet> {
  return { component: 'shared', files: await tenantMigrations(root), schema: SHARED_SCHEMA };
}

/**
 * Makes the shared place with the compiled script, or takes it forward file by file.
 * @param pending those of `set.files` that are not in the ledger
 */
export async function migrateShared(
  client: ClientBase,
  set: MigrationSet,
  pending: readonly MigrationFile[],
  compiled: string,
): Promise<string[]> {
  const stamp = stampOf(versionOf(set.files));
  if (!compiled.includes(`'${stamp}'`))
    throw new Error('libs/tenancy/compiled/tenant.sql is older than the tenant migrations: run node libs/tenancy/dist/compile-main.js');
  const found = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [SHARED_SCHEMA]);
  if (found.rowCount === 0) {
    const names = { schema: SHARED_SCHEMA, appSchema: SHARED_APP_SCHEMA, role: SHARED_ROLE, owner: OWNER };
    await asOwner(client, null, async () => {
      await client.query(scriptFor(compiled, names));
      await record(client, set.component, set.files);
    });
    return set.files.map((file) => `${set.component}/${file.name}`);
  }
  await asOwner(client, SHARED_SCHEMA, async () => {
    for (const file of pending) await client.query(file.sql);
    const { rows } = await client.query<{ relname: string }>(
      `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND NOT relforcerowsecurity ORDER BY oid`,
      [SHARED_SCHEMA],
    );
    if (rows.length > 0) await client.query(withNames(stampTables(rows.map((row) => row.relname)), { role: SHARED_ROLE }));
    await client.query(`COMMENT ON SCHEMA ${SHARED_SCHEMA} IS '${stamp}'`);
    await record(client, set.component, pending);
  });
  return pending.map((file) => `${set.component}/${file.name}`);
}
