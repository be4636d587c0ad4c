import type { Isolation } from '@tenantry/contracts/values';
import { identifier, literal } from '@tenantry/tenancy/sql';
import { breached, held, notApplicable, type Tried } from '../attempt.js';
import { NOT_ALLOWED, nothing, type Planned, refusedBefore } from './table-attempts.js';

/** A view of a tenant, as the catalogue has it. */
export interface TenantView {
  schema: string;
  name: string;
  /** It keeps rows of its own, where no row-level security is. */
  materialized: boolean;
  hasTenantId: boolean;
  /** It reads tables, or other views, that have a `tenant_id`. */
  overTenants: boolean;
}

export const VIEWS = `
  SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'm' AS materialized,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS "hasTenantId",
    EXISTS (
      SELECT FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attname = 'tenant_id' AND NOT a.attisdropped
      WHERE r.ev_class = c.oid AND d.refobjid <> c.oid) AS "overTenants"
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY($1) AND c.relkind IN ('v', 'm') ORDER BY 1, 2`;

/** object_not_in_prerequisite_state, feature_not_supported: a view that takes no rows at all. */
const READ_ONLY = ['55000', '0A000'];

/** What is tried at one view. One that reads nothing of tenants has nothing to hide. */
export function plannedOfView(view: TenantView, { own, foreign, level }: { own: string; foreign: string; level: Isolation }): Planned[] {
  if (!view.overTenants && !view.hasTenantId) return [];
  const name = `${identifier(view.schema)}.${identifier(view.name)}`;
  const read = (attempt: string, where: string, context: string): Planned => ({
    attempt,
    run: { sql: `SELECT 1 FROM ${name} ${where} LIMIT 1`, context },
    judge: nothing('rows were seen'),
  });
  return [
    read('read without a context', '', ''),
    ...(level === 'shared' ? [] : [read("read in another tenant's context", '', foreign)]),
    ...(view.hasTenantId
      ? [
          read('read rows of others in its own context', `WHERE tenant_id <> ${literal(own)}`, own),
          {
            attempt: 'write a row of another tenant',
            run: { sql: `INSERT INTO ${name} (tenant_id) VALUES (${literal(foreign)})`, context: own },
            judge: (outcome): string | null =>
              'refused' in outcome && [NOT_ALLOWED, ...READ_ONLY].includes(outcome.refused)
                ? null
                : `it was not refused as a foreign row (${'rows' in outcome ? `${outcome.rows} rows` : `SQLSTATE ${outcome.refused}`})`,
            untried: refusedBefore,
          } satisfies Planned,
        ]
      : []),
  ];
}

/** What the catalogue itself says. */
export function structureOfView(view: TenantView, level: Isolation): Tried {
  const attempt = 'look for rows without row-level security';
  if (!view.materialized) return held(attempt, 'the view keeps none');
  return level === 'shared'
    ? breached(attempt, 'the materialized view keeps rows of all tenants')
    : notApplicable(attempt, 'the materialized view is in a schema that is one tenant’s alone');
}
