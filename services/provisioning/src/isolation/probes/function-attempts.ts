import { identifier } from '@tenantry/tenancy/sql';
import { breached, held, type Tried } from '../attempt.js';
import type { RowOutcome } from './rows.js';
import { NOT_ALLOWED } from './table-attempts.js';

/** A function of a schema that belongs to no tenant. */
export interface PlatformFunction {
  name: string;
  /** As PostgreSQL writes them. */
  argumentTypes: string[];
}

export const PLATFORM_FUNCTIONS = `
  SELECT n.nspname AS schema, json_agg(json_build_object('name', p.proname, 'argumentTypes', ARRAY(
    SELECT format_type(type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS of(type, nth) ORDER BY nth)) ORDER BY p.oid) AS functions
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname !~ '^(t_|app_|pg_)' AND n.nspname NOT IN ('information_schema', 'shared', 'app_shared')
    AND p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) GROUP BY 1 ORDER BY 1`;

/** With nothing for every argument: whether it may be called is asked before anything else, and what it does is taken back. */
export const callOf = (schema: string, { name, argumentTypes }: PlatformFunction): string =>
  `SELECT ${identifier(schema)}.${identifier(name)}(${argumentTypes.map((type) => `NULL::${type}`).join(', ')})`;

/** Not allowed; or the schema, or the function, is not in the tenant's database. */
const OUT_OF_REACH = [NOT_ALLOWED, '3F000', '42883'];

/** Any other refusal came from inside the function. */
export function judgedCalls(functions: readonly PlatformFunction[], outcomes: readonly RowOutcome[]): Tried {
  const attempt = 'call its functions';
  const open = functions.filter((_, index) => {
    const outcome = outcomes[index];
    return outcome === undefined || 'rows' in outcome || !OUT_OF_REACH.includes(outcome.refused);
  });
  return open.length > 0
    ? breached(
        attempt,
        `can be called: ${open
          .slice(0, 10)
          .map(({ name }) => name)
          .join(', ')}`,
      )
    : held(attempt, `${functions.length} functions, none can be called`);
}
