import { APP_OWNER, OWNER } from './names.js';
import { identifier, integer, literal, uuidLiteral } from './sql.js';

/** What the platform adds to what a version has made, by name. */
export interface Stamp {
  /** They get forced row-level security, a policy and the tenant's rights. `hasTenant`: by their own `tenant_id`. */
  tables: { name: string; hasTenant: boolean }[];
  /** They have a policy; while rows of all tenants were changed it was not forced upon their owner. */
  force: string[];
  /** Tables whose policy is not forced meanwhile. */
  unforce: string[];
  sequences: string[];
  views: string[];
}

/** One step on the way to a state: SQL of a version, or the compiled state of one. */
export interface AppStep {
  blueprint: string;
  version: number;
  checksum: string;
  sql: string;
  stamp: Stamp;
}

/** A schema of the product. `tenantId` is null for `app_shared`. */
export interface AppPlace {
  appSchema: string;
  role: string;
  tenantId: string | null;
}

/**
 * Takes a schema of the product through steps, as their owner; to be run inside a transaction, whose role is the owner's afterwards.
 * `from`: the version that each blueprint is at; 0 where it isn't there yet. What it finds otherwise is refused with TG004, so that
 * of two that do the same at the same time, the second changes nothing.
 */
export function appScript(place: AppPlace, steps: readonly AppStep[], from = 0): string {
  if (steps.length === 0) return '';
  const schema = identifier(place.appSchema);
  const advances = [...Map.groupBy(steps, ({ blueprint }) => blueprint)].map(
    ([blueprint, own]) =>
      `SELECT tenancy.advance_app(${literal(place.appSchema)}, ${literal(blueprint)}, ${integer(from)}, ARRAY[${own.map(({ version }) => integer(version)).join(', ')}], ARRAY[${own.map(({ checksum }) => literal(checksum)).join(', ')}]);`,
  );
  return `SET LOCAL ROLE ${OWNER};
${advances.join('\n')}
${from === 0 ? `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${APP_OWNER};` : ''}
SET LOCAL ROLE ${APP_OWNER}; SET LOCAL search_path = ${schema}${place.tenantId === null ? '' : `; SET LOCAL app.tenant_id = ${uuidLiteral(place.tenantId)}`};
${steps.map((step) => `${stepScript(place, step)}\n`).join('')}SET LOCAL ROLE ${OWNER};`;
}

/** One step on the search path, as the tables' owner. */
export function stepScript(place: Pick<AppPlace, 'role' | 'tenantId'>, { sql, stamp }: AppStep): string {
  const unforce =
    place.tenantId === null ? stamp.unforce.map((name) => `ALTER TABLE ${identifier(name)} NO FORCE ROW LEVEL SECURITY;`) : [];
  // The line break ends a comment that the SQL may end with.
  return [...unforce, `${sql}\n;`, stampScript(stamp, place)].join('\n');
}

/** Row-level security on every table: by the row's tenant, or, where rows don't say whose they are, for the schema's one tenant only. */
export function stampScript({ tables, force, sequences, views }: Stamp, { role, tenantId }: Pick<AppPlace, 'role' | 'tenantId'>): string {
  const current = `current_setting('app.tenant_id')::uuid`;
  const policy = (hasTenant: boolean) => {
    if (!hasTenant && tenantId === null) throw new Error('A table of app_shared needs tenant_id');
    return hasTenant ? `tenant_id = ${current}` : `${current} = ${uuidLiteral(tenantId!)}::uuid`;
  };
  const readable = [...tables.map(({ name }) => name), ...views];
  return [
    ...force.map((name) => `ALTER TABLE ${identifier(name)} FORCE ROW LEVEL SECURITY;`),
    ...tables.flatMap(({ name, hasTenant }) => [
      `ALTER TABLE ${identifier(name)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;`,
      `CREATE POLICY tenant ON ${identifier(name)} USING (${policy(hasTenant)});`,
    ]),
    ...(readable.length > 0
      ? [`GRANT SELECT, INSERT, UPDATE, DELETE ON ${readable.map(identifier).join(', ')} TO ${identifier(role)};`]
      : []),
    ...(sequences.length > 0 ? [`GRANT USAGE, SELECT ON SEQUENCE ${sequences.map(identifier).join(', ')} TO ${identifier(role)};`] : []),
  ].join('\n');
}
