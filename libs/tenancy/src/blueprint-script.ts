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

/** One step on the way to a state: the statements of a version, or the compiled state of one as a single text. */
export interface AppStep {
  blueprint: string;
  version: number;
  checksum: string;
  statements: readonly string[];
  stamp: Stamp;
}

/** A schema of the product. `tenantId` is null for `app_shared`. */
export interface AppPlace {
  appSchema: string;
  role: string;
  tenantId: string | null;
}

/** What `tenancy.change_app` runs, and whose statement each is; `statement` from 1, null for what the platform adds. */
export interface AppWork {
  texts: string[];
  of: { blueprint: string; version: number; statement: number | null }[];
}

export function appWork(place: Pick<AppPlace, 'role' | 'tenantId'>, steps: readonly AppStep[]): AppWork {
  const work: AppWork = { texts: [], of: [] };
  for (const { blueprint, version, statements, stamp } of steps) {
    const add = (texts: readonly string[], isOwn: boolean) => {
      for (const [index, text] of texts.entries()) {
        work.texts.push(text);
        work.of.push({ blueprint, version, statement: isOwn ? index + 1 : null });
      }
    };
    if (place.tenantId === null) add(unforced(stamp), false);
    add(statements, true);
    const added = stampScript(stamp, place);
    if (added !== '') add([added], false);
  }
  return work;
}

/**
 * Takes a schema of the product through steps: one statement for a session of the blueprints' login, inside a transaction.
 * `from`: the version that each blueprint is at; 0 where it isn't there yet. What it finds otherwise is refused with TG004, so that
 * of two that do the same at the same time, the second changes nothing. `generation`: of the placement whose gate must be open.
 */
export function changeApp(place: AppPlace, steps: readonly AppStep[], work: AppWork, from: number, generation: number | null): string {
  const advances = [...Map.groupBy(steps, ({ blueprint }) => blueprint)].map(([blueprint, own]) => ({
    blueprint,
    from,
    versions: own.map(({ version }) => version),
    checksums: own.map(({ checksum }) => checksum),
  }));
  const tenant = place.tenantId === null ? 'NULL' : uuidLiteral(place.tenantId);
  return `SELECT tenancy.change_app(${literal(place.appSchema)}, ${tenant}, ${generation === null ? 'NULL' : integer(generation)}, ${literal(place.role)},
    ${literal(JSON.stringify(advances))}::jsonb, ARRAY[${work.texts.map(literal).join(', ')}]::text[]);`;
}

/** While rows of all tenants are changed the policies are not forced upon the tables' owner. */
export const unforced = ({ unforce }: Stamp): string[] =>
  unforce.map((name) => `ALTER TABLE ${identifier(name)} NO FORCE ROW LEVEL SECURITY`);

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
