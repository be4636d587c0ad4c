import type { Attempt } from '@tenantry/contracts/platform/isolation';
import type { Isolation } from '@tenantry/contracts/values';
import { identifier, literal } from '@tenantry/tenancy/sql';
import { breached, held, notApplicable, type Tried } from '../attempt.js';
import type { RowAttempt, RowOutcome } from './rows.js';

/** A table of a tenant, as the catalogue has it. */
export interface TenantTable {
  schema: string;
  name: string;
  hasTenantId: boolean;
  /** Row-level security is on, forced, and has a policy; and whoever is restricted doesn't own the table. */
  guarded: boolean;
}
/** insufficient_privilege, which row-level security says too. */
export const NOT_ALLOWED = '42501';
export interface Planned {
  attempt: string;
  run: RowAttempt;
  /** Null: it held. */
  judge: (outcome: RowOutcome) => string | null;
  /** Why nothing can be said by the outcome; null where something can. */
  untried?: (outcome: RowOutcome) => string | null;
}

/** Nothing seen and nothing changed, or refused outright. */
export const nothing = (what: string) => (outcome: RowOutcome) =>
  'rows' in outcome && outcome.rows > 0 ? `${what}: ${outcome.rows} rows` : null;
/** A foreign row must be refused as such: another refusal (a value that is missing) would come after it got past the boundary. */
const refusedAsForeign = (outcome: RowOutcome) =>
  'refused' in outcome && outcome.refused === NOT_ALLOWED ? null : `it was not refused as a foreign row (${said(outcome)})`;
/** A table's own code (a trigger, a default, a domain) runs before row-level security is asked: what it refuses was not tried. */
export const refusedBefore = (outcome: RowOutcome): string | null =>
  'refused' in outcome && outcome.byOwnCode && outcome.refused !== NOT_ALLOWED
    ? `the table’s own code refused the row first (SQLSTATE ${outcome.refused}); its policy is looked at by itself`
    : null;
const said = (outcome: RowOutcome): string => ('rows' in outcome ? `${outcome.rows} rows` : `SQLSTATE ${outcome.refused}`);

/** What is tried at one table. `foreign`: the id of another tenant. */
export function planned(table: TenantTable, { own, foreign, level }: { own: string; foreign: string; level: Isolation }): Planned[] {
  const name = `${identifier(table.schema)}.${identifier(table.name)}`;
  const id = literal(foreign);
  return [
    {
      attempt: 'read without a context',
      run: { sql: `SELECT 1 FROM ${name} LIMIT 1`, context: '' },
      judge: nothing('rows were seen'),
    },
    level === 'shared'
      ? {
          attempt: 'read rows of others in its own context',
          run: { sql: `SELECT 1 FROM ${name} WHERE tenant_id <> ${literal(own)} LIMIT 1`, context: own },
          judge: nothing('rows of others were seen'),
        }
      : {
          attempt: "read in another tenant's context",
          run: { sql: `SELECT 1 FROM ${name} LIMIT 1`, context: foreign },
          judge: nothing('rows were seen'),
        },
    {
      attempt: 'write a row of another tenant',
      run: { sql: `INSERT INTO ${name} (tenant_id) VALUES (${id})`, context: own },
      judge: refusedAsForeign,
      untried: refusedBefore,
    },
    {
      attempt: 'give its rows to another tenant',
      run: { sql: `UPDATE ${name} SET tenant_id = ${id}`, context: own },
      judge: nothing('rows changed hands'),
    },
    {
      attempt: 'delete rows of another tenant',
      run: { sql: `DELETE FROM ${name} WHERE tenant_id = ${id}`, context: own },
      judge: nothing('rows were deleted'),
    },
  ];
}

export const judged = ({ attempt, judge, untried }: Planned, outcome: RowOutcome): Tried => {
  const why = untried?.(outcome) ?? null;
  if (why !== null) return notApplicable(attempt, why);
  const fault = judge(outcome);
  return fault === null ? held(attempt, said(outcome)) : breached(attempt, fault);
};

/** Held only where it was refused as such: what fails otherwise (what it names isn't there, say) was not tried. */
export const refusedWith = (expected: string, attempt: string, outcome: RowOutcome | undefined): Tried => {
  if (outcome && 'refused' in outcome && outcome.refused === expected) return held(attempt, `SQLSTATE ${expected}`);
  return breached(attempt, `it was not refused as such (${outcome ? said(outcome) : 'nothing came of it'})`);
};

/** What the catalogue itself says: a table that is empty now would not show it. */
export function structure(table: TenantTable, level: Isolation, isProduct: boolean): Tried {
  const attempt = 'look for forced row-level security';
  if (table.guarded) return held(attempt, 'it is forced, and the role does not own the table');
  return isProduct && !table.hasTenantId && level !== 'shared'
    ? notApplicable(attempt, 'the table has no tenant_id, and is in a schema that is one tenant’s alone')
    : breached(attempt, 'the table has no forced row-level security');
}

export const targetOf = ({ schema, name }: Pick<TenantTable, 'schema' | 'name'>): Attempt['target'] => `${schema}.${name}`;
